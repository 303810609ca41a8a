"""Test runs and what they keep warm: cold, quick, promotion, teardown, canonicals."""
