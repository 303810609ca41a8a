"""What a live app needs next, and what holds it. Pure."""
