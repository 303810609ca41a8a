"""Decisions about live apps."""
