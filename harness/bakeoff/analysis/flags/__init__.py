"""Warnings about a comparison, found in its records: each has a name, a severity, what was found and what to do."""
