"""Records and comparisons as pandas DataFrames, for notebooks: `from bakeoff import load, compare`.

The docstring of each table lists its columns with dtype and unit; they always come in that order, even without rows. A number
that does not apply is missing (NaN or <NA>), such a text is empty. Scores are in the metric's own unit (accuracy: 0 to 1).
"""
