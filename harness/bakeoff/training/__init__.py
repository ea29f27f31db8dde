"""Performs one run: assembles it, trains, evaluates, and writes its record."""
