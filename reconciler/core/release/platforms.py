"""Can an engine run an image that was made for this platform? Pure."""

_RUNS_TOO = {"amd64": ("386",), "arm64": ("arm",)}
"""What a processor runs beside its own, without an emulator."""


def fits(image: str, engine: str) -> bool:
    """Say whether `os/architecture` of an image fits the engine's; one that is not known does."""
    if not image.strip("/") or not engine.strip("/"):
        return True
    (os, architecture), (own_os, own) = image.split("/"), engine.split("/")
    return os == own_os and architecture in (own, *_RUNS_TOO.get(own, ()))
