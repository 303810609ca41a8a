"""Decisions of `core/release`."""
