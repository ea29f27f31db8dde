"""What the rows of a table say of their runs."""
