"""Our own files: concrete, each written by one atomic rename; reading them needs neither Docker nor git."""
