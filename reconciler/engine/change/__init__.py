"""One change of one stack: driven step by step, with a journal or without."""
