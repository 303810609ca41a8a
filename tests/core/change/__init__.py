"""Decisions about a change: its order, its results, what it teaches."""
