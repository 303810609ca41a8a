"""Decisions of `core/host`."""
