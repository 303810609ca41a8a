"""What `engine/testrun` does to a whole host in memory."""
