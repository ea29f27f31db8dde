"""Which runs follow from an experiment file, and by what they are judged."""
