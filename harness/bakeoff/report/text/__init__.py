"""Tables, LaTeX, CSV, JSON and cards of a comparison."""
