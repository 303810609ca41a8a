"""What `engine/live` does to a whole host in memory."""
