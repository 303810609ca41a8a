"""Images of the embedded engine: a program and its settings under a reference. Effects: files below `images/`.

`registry/` stands for the remote side: what is only there must be pulled first.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, unquote

from typing_extensions import override

from reconciler.adapters.registry import parse_reference
from reconciler.model.base import Json
from reconciler.model.errors import ActError
from reconciler.model.observed import ImageObs, Inventory, StoredImage
from reconciler.model.recipe import ImageLookup
from reconciler.ports.registry import Registry
from reconciler.state import files


class ImageStore(Registry):
    """`<root>/images/<id>.json` by content, `<root>/images/tags/<reference>` by name; the same below `registry`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def publish(self, reference: str, argv: Sequence[str], env: Mapping[str, str], created: str) -> str:
        """Put an image into the registry; gives its digest."""
        record = {"argv": list(argv), "env": dict(env), "created": created}
        raw = json.dumps(record, sort_keys=True).encode()
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        self._save("registry", reference, digest, raw)
        return digest

    def withdraw(self, reference: str) -> None:
        """Take a reference out of the registry."""
        self._tag("registry", reference).unlink(missing_ok=True)

    def _save(self, side: str, reference: str, digest: str, raw: bytes) -> None:
        folder = files.make_folder(self.root / side)
        files.make_folder(folder / "tags")
        files.write_atomic(folder / f"{digest.removeprefix('sha256:')}.json", raw)
        files.write_atomic(self._tag(side, reference), digest.encode())

    def _tag(self, side: str, reference: str) -> Path:
        return self.root / side / "tags" / quote(reference, safe="")

    def file(self, reference: str) -> Path:
        """Where an image's record lies on the engine, whether it does or not."""
        return self._file("images", self._digest("images", reference))

    def _file(self, side: str, digest: str) -> Path:
        return self.root / side / f"{digest.removeprefix('sha256:') or 'none'}.json"

    def _digest(self, side: str, reference: str) -> str:
        if "@sha256:" in reference:
            return reference.partition("@")[2]
        try:
            return self._tag(side, reference).read_text()
        except FileNotFoundError:
            return ""

    def observe(self, references: Sequence[str]) -> Mapping[str, ImageObs]:
        """The images present on the engine."""
        found = {}
        for reference in references:
            record = self._record("images", reference)
            if record is not None:
                digest = self._digest("images", reference)
                pinned = reference if "@sha256:" in reference else f"{reference}@{digest}"
                found[reference] = ImageObs(pinned=pinned, created=str(record.get("created", "")))
        return found

    def _record(self, side: str, reference: str) -> Json | None:
        path = self._file(side, self._digest(side, reference))
        if not path.exists():
            return None
        found: Json = json.loads(path.read_text())
        return found

    def pull(self, reference: str) -> ImageObs:
        """Copy an image from the registry to the engine.

        Raises:
            ActError: the registry does not have it, or is away.
        """
        if not (self.root / "registry").is_dir():
            raise ActError(f"{reference} cannot be pulled: the registry is away", host_fault=True)
        digest = self._digest("registry", reference)
        source = self._file("registry", digest)
        if not source.exists():
            raise ActError(f"{reference} cannot be pulled: not found", permanent=True)
        self._save("images", reference.partition("@")[0], digest, source.read_bytes())
        return self.observe([reference])[reference]

    def prune(self, kept: set[str]) -> list[str]:
        """Remove every image whose reference is not in `kept`; gives the removed ids."""
        digests = {self._digest("images", reference) for reference in kept}
        removed = []
        for path in (self.root / "images").glob("*.json"):
            if f"sha256:{path.stem}" not in digests:
                path.unlink()
                removed.append(path.stem)
        return removed

    def inventory(self, kept: set[str]) -> Inventory:
        """Every image on the engine; used are those that a reference in `kept` means."""
        used = {self._digest("images", reference) for reference in kept}
        tags: dict[str, list[str]] = {}
        for tag in (self.root / "images" / "tags").glob("*"):
            tags.setdefault(tag.read_text(), []).append(unquote(tag.name))
        found = []
        for path in sorted((self.root / "images").glob("*.json")):
            digest, stat = f"sha256:{path.stem}", path.stat()
            at = datetime.fromtimestamp(stat.st_mtime, UTC)
            names = tuple(sorted(tags.get(digest, [])))
            found.append(StoredImage(id=digest, references=names, size=stat.st_size, tagged_at=at, used=digest in used))
        return Inventory(images=tuple(found))

    def remove(self, image_id: str) -> bool:
        """Remove an image and its names; False if it is not here."""
        path = self._file("images", image_id)
        for tag in (self.root / "images" / "tags").glob("*"):
            if tag.read_text() == image_id:
                tag.unlink()
        found = path.exists()
        path.unlink(missing_ok=True)
        return found

    @override
    def lookup(self, references: Sequence[str], *, details: bool = False) -> Mapping[str, ImageLookup]:
        """Answer as a registry does."""
        return {reference: self._lookup(reference) for reference in references}

    def _lookup(self, reference: str) -> ImageLookup:
        if parse_reference(reference) is None:
            return ImageLookup(reference=reference, exists=None, error="malformed image reference")
        if not (self.root / "registry").is_dir():
            return ImageLookup(reference=reference, exists=None, error="the registry is away")
        record = self._record("registry", reference)
        if record is None:
            return ImageLookup(reference=reference, exists=False, error="not found in its registry")
        digest = self._digest("registry", reference)
        return ImageLookup(reference=reference, exists=True, created=str(record.get("created", "")), digest=digest)
