"""Our own files: concrete, each written by one atomic rename; whoever may read them needs neither Docker nor git."""
