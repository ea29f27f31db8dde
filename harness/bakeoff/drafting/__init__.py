"""Drafts an experiment file for rows: reads a file, finds out what its columns mean, and proposes what to compare."""
