"""The host: one pass over all apps, the daemon, the sweep, what is done beside them."""
