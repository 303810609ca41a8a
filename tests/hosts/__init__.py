"""A host for tests on a real engine: what an operator writes on it, the program on it, and what can be seen of it."""
