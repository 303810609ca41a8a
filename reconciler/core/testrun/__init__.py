"""What a test run is made of, and what its stages add up to. Pure."""
