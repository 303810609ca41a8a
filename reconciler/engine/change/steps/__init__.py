"""How each step of a transaction is done: one file per step, one function each. Every step may run twice.

A function gives `Done` or a `Failure` value; it raises only if nothing could be done or known (`ObserveError`).
"""
