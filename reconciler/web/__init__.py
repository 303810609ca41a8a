"""The page and the API: a process of its own, without privileges, that reads `state/` and leaves requests.

Imports model, state and core, and nothing else of ours: it has no Engine, no git and no secrets to lose.
"""
