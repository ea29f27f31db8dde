"""Words, numbers and Markdown as people write and read them. Nothing here knows what an experiment is."""
