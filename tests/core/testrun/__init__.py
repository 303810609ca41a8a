"""Decisions of `core/testrun`."""
