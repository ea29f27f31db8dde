"""Text: names, numbers and values in words, escaping, Markdown. Nothing here knows what an experiment is."""
