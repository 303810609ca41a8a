"""One deploy driver per file: how a bundle is handed to an engine."""
