"""Which images an engine can run."""

import pytest

from reconciler.core.release import platforms

ROWS = [
    ("linux/amd64", "linux/amd64", True),
    ("linux/386", "linux/amd64", True),
    ("linux/arm", "linux/arm64", True),
    ("linux/arm64", "linux/amd64", False),
    ("linux/amd64", "linux/arm64", False),
    ("windows/amd64", "linux/amd64", False),
    ("/", "linux/amd64", True),
    ("linux/arm64", "/", True),
    ("linux/", "linux/amd64", True),
    ("/arm64", "linux/amd64", True),
    ("linux/x86_64", "linux/amd64", True),
    ("linux/aarch64", "linux/arm64", True),
    ("linux/aarch64", "linux/amd64", False),
]


@pytest.mark.parametrize(("image", "engine", "fits"), ROWS)
def test_an_image_fits_an_engine(image: str, engine: str, fits: bool) -> None:
    assert platforms.fits(image, engine) is fits
