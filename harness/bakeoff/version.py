"""The version of Bakeoff, which records hold, and where its documentation is."""

__version__ = "0.1.0"
DOCUMENTATION = "https://github.com/bakeoff/bakeoff/blob/main/docs"
"""The folder of the documentation, for messages: an installed Bakeoff has no checkout beside it."""
