"""Tests of core host."""
