"""Decisions: model in, model out. Pure: no I/O, no clock (`now` is an argument), no logging."""
