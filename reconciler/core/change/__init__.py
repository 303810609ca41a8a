"""The order of a change, when it has settled, and what it is called. Pure."""
