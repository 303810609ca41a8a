"""Decisions about releases and their recipes."""
