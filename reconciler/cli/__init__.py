"""The command line: a command is a few lines that call the engine. Only here does the program exit.

Exit codes: 0 fine, 1 failed, 2 usage or spec, 20 changes planned, 21 held, 75 busy.
"""

from reconciler.cli.start import main

__all__ = ["main"]
