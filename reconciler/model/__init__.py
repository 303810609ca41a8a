"""Values that everybody speaks in: frozen, no I/O, no clock, no logging. Pure."""
