"""What a user writes: the experiment file, read with the place of each key."""
