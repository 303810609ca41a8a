"""Tests of core canonical."""
