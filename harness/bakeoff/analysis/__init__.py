"""How sure one may be: statistics on arrays of predictions and costs, and the verdicts that follow. Loads no torch."""
