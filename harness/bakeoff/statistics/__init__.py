"""Statistics on arrays: intervals, tests, power, ratios of costs. Nothing here knows what a record is."""
