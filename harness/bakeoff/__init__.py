"""Bakeoff fine-tunes models in several ways and says which way is better, by how much, at what cost, and how sure one may be.

Authors of plugins import from `bakeoff.plugin`; nothing is imported here, so that the command line starts at once.
"""

__version__ = "0.1.0"
