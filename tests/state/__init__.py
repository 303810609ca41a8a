"""Our own files: written, read, damaged."""
