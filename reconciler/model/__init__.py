"""Values that all rings speak in: frozen, no I/O, no clock, no logging. Pure."""
