"""The Open Data Contract Standard: its documents as structs, and what Haulier makes of them."""
