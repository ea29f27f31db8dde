"""Compares two strategies step by step: `trace` trains and records, `causes` explains, `verdict` concludes."""
