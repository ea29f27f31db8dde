"""The contracts between Bakeoff and the authors of plugins."""
