"""What this machine and its installed software are."""
