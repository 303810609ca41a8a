"""Decisions of `core/change`."""
