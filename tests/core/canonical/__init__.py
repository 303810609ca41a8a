"""Decisions about canonicals."""
