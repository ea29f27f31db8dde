"""The version of Bakeoff, which records hold."""

__version__ = "0.1.0"
