"""The fake host of the engine's tests, for those of the daemon's parts."""

from tests.engine.conftest import host

__all__ = ["host"]
