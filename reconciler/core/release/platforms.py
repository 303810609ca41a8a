"""Can an engine run an image that was made for this platform? Pure."""

_RUNS_TOO = {"amd64": ("386",), "arm64": ("arm",)}
"""What a processor runs beside its own, without an emulator."""
_OTHER_NAMES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "armhf": "arm", "armel": "arm", "i386": "386"}


def fits(image: str, engine: str) -> bool:
    """Say whether `os/architecture` of an image fits the engine's; one of which either is not known does."""
    (os, architecture), (own_os, own) = _split(image), _split(engine)
    if not (os and architecture and own_os and own):
        return True
    return os == own_os and architecture in (own, *_RUNS_TOO.get(own, ()))


def _split(platform: str) -> tuple[str, str]:
    os, _, architecture = platform.lower().partition("/")
    return os, _OTHER_NAMES.get(architecture, architecture)
