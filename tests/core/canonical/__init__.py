"""Decisions of `core/canonical`."""
