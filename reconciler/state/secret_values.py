"""Values for new secrets: from a file the operator names, or generated. Effects: reads files, the random source."""

import secrets
import string
from pathlib import Path

from reconciler.model.app import AppSpec
from reconciler.model.errors import RecipeError

_MAX_BYTES = 500 << 10  # Swarm's own limit
_MAX_PASSWORD = 4096


class SecretValues:
    """From a file or generated. A value is never logged, stored or shown."""

    def value(self, spec: AppSpec, name: str) -> bytes:
        """From the file the spec names, or generated. RecipeError if the file cannot be read."""
        wanted = spec.secrets[name]
        if wanted.file is None:
            alphabet = string.hexdigits[:16] if wanted.charset == "hex" else string.ascii_letters + string.digits
            return "".join(secrets.choice(alphabet) for _ in range(wanted.length)).encode()
        try:
            found = Path(wanted.file).read_bytes()
        except OSError as exc:
            raise RecipeError(f"secret {name}: {wanted.file}: {exc.strerror}") from exc
        if not found or len(found) > _MAX_BYTES:
            raise RecipeError(f"secret {name}: {wanted.file} holds {len(found)} bytes; 1 to {_MAX_BYTES} are possible")
        return found

    def read_password(self, path: str) -> str:
        """The password in a file of the operator, without the end of its line.

        Raises:
            RecipeError: it cannot be read, or is not one line of text.
        """
        try:
            with Path(path).open(encoding="utf-8") as file:
                found = file.read(_MAX_PASSWORD + 1).removesuffix("\n")
        except OSError as exc:
            raise RecipeError(f"{path}: {exc.strerror}") from exc
        except ValueError as exc:  # bytes that are no text, or a path that none can have
            raise RecipeError(f"{path}: is not text") from exc
        if not found or len(found) > _MAX_PASSWORD or "\n" in found:
            raise RecipeError(f"{path}: is not one line of at most {_MAX_PASSWORD} characters")
        return found
