"""What the tests with real programs start from."""

import os
import shutil
import subprocess
from collections.abc import Callable

import pytest

from tests.conftest import missing


@pytest.fixture(scope="session")
def build(docker_host: str) -> Callable[[Callable[[], str]], str]:
    """Builds an image, or says what is missing for it."""
    assert docker_host
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        missing("images of real programs need root and mmdebstrap (apt-get install mmdebstrap)")

    def make(image: Callable[[], str]) -> str:
        try:
            return image()
        except (subprocess.CalledProcessError, OSError) as exc:
            missing(f"an image of a real program cannot be built: {exc}")
            raise

    return make
