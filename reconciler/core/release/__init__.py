"""From tags and compose files to one rendered release. Pure."""
