"""The `haulier` command: what people use; the steps themselves are programs of their own."""
