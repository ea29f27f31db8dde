"""Making the runs of an experiment: what is recorded already, what is to do, and doing it."""
