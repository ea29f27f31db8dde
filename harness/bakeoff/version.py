"""The version of Bakeoff, which every record stores, and the address of its documentation."""

__version__ = "0.1.0"
DOCUMENTATION = "https://github.com/bakeoff/bakeoff/blob/main/docs"
"""The folder of the documentation, for messages: an installed Bakeoff has no checkout beside it."""
