"""Test runs: cold, quick, promotion, teardown."""
