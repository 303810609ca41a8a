"""The embedded engine: services as child processes, volumes as folders, state on disk; no Docker, no root.

For demos and fast tests; it keeps the same contract suite as Swarm and is never chosen silently.
"""
