"""Decisions of `core/live`."""
