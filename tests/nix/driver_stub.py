"""What the script of nix/tests/vm.nix may use of NixOS's test driver, for the type checker: never run."""

from contextlib import AbstractContextManager


class Machine:
    """One virtual machine."""

    def start(self) -> None:
        raise NotImplementedError

    def crash(self) -> None:
        raise NotImplementedError

    def wait_for_unit(self, unit: str, user: str | None = None, timeout: int = 900) -> None:
        raise NotImplementedError

    def succeed(self, *commands: str, timeout: int | None = None) -> str:
        raise NotImplementedError

    def wait_until_succeeds(self, command: str, timeout: int = 900) -> str:
        raise NotImplementedError


def subtest(name: str) -> AbstractContextManager[None]:
    raise NotImplementedError


machine = Machine()
