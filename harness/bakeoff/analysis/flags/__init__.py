"""The list of sins, S1 to S17: what to mind about a comparison, found in its records, each with a sentence and a next step."""
