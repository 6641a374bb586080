"""The trail of a table: every change of it out of its history, and the table as it was at any time."""
