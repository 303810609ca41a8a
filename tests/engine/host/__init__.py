"""What `engine/host` does to a whole host in memory."""
