"""Many runs: what is there already, what is to do, and doing it."""
