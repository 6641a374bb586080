"""Independent judges of an export. What is here runs in an environment of its own (make judges), without Haulier."""
