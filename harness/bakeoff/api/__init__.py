"""Records and comparisons as pandas DataFrames, for notebooks: `from bakeoff import load, compare`.

Every table's columns stand in its docstring with dtype and unit, and always come in that order, rows or none. A number that
does not apply is missing (NaN or <NA>), a text that does not is empty. Scores are in the metric's own unit (accuracy: 0 to 1).
"""
