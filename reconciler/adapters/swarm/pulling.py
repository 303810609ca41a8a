"""What the engine says while it pulls an image, added up over the layers. Pure."""

from dataclasses import dataclass, field
from typing import Any

from reconciler.model.base import Json
from reconciler.ports.engine import Pulled

_NEW = frozenset({"Pulling fs layer", "Waiting"})
_LOADED = frozenset({"Verifying Checksum", "Download complete"})


@dataclass
class _Layer:
    """Bytes. `of`: None until the engine says it."""

    of: int | None = None
    loaded: int = 0
    unpacked: int = 0


@dataclass
class Layers:
    """One pull under way. `error`: the engine's own words if it failed, which it says in the middle of its answer."""

    error: str = ""
    _layers: dict[str, _Layer] = field(default_factory=dict)

    def hear(self, message: Json) -> Pulled | None:
        """Take in one message; gives how far all of it is, None if that was not about a layer."""
        if "error" in message or "errorDetail" in message:
            detail = message.get("errorDetail")
            said = detail.get("message") if isinstance(detail, dict) else None
            self.error = str(said or message.get("error") or "the engine does not say why")
            return None
        name, status = str(message.get("id") or ""), str(message.get("status") or "")
        if status in _NEW:
            self._layers.setdefault(name, _Layer())
            return self._sum()
        layer = self._layers.get(name)
        if layer is None and status != "Downloading":
            return None  # the image itself, or a layer that is here already
        self._take_in(self._layers.setdefault(name, _Layer()), status, message.get("progressDetail"))
        return self._sum()

    def _take_in(self, layer: _Layer, status: str, detail: Any) -> None:
        found = detail if isinstance(detail, dict) and "units" not in detail else {}
        current, total = found.get("current"), found.get("total")
        if isinstance(total, int) and total > 0:
            layer.of = total
        if status == "Downloading" and isinstance(current, int):
            layer.loaded = max(layer.loaded, current)
        elif status == "Extracting" and isinstance(current, int):
            layer.unpacked = max(layer.unpacked, current)
        if status in _LOADED or status in ("Extracting", "Pull complete"):
            # A small layer is there before it said how large it is.
            layer.of = layer.loaded if layer.of is None else layer.of
            layer.loaded = layer.of
        if status == "Pull complete":
            layer.unpacked = layer.loaded

    def _sum(self) -> Pulled:
        sizes = [layer.of for layer in self._layers.values()]
        known = [size for size in sizes if size is not None]
        of = sum(known) if len(known) == len(sizes) else None
        loaded = sum(layer.loaded for layer in self._layers.values())
        # The engine unpacks while it loads; what people wait for is the slower one, and in the end the unpacking.
        if of is not None and loaded >= of:
            return Pulled(doing="unpacking", done=sum(layer.unpacked for layer in self._layers.values()), of=of)
        return Pulled(doing="loading", done=loaded, of=of)
