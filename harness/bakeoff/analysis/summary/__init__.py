"""The rows of a comparison's tables, as the records of their runs describe them."""
