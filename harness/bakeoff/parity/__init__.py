"""Two strategies side by side: `trace` trains and writes down, `causes` explains, `verdict` says what it comes to."""
