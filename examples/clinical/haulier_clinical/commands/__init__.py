"""What ``python -m haulier_clinical`` can do, a module a verb."""
