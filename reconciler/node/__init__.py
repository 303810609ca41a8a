"""What must run where a volume lies."""
