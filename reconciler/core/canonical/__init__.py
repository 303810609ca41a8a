"""What a canonical needs, and which run may become one. Pure."""
