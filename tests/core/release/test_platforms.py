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
]


@pytest.mark.parametrize(("image", "engine", "fits"), ROWS)
def test_an_image_fits_an_engine(image: str, engine: str, fits: bool) -> None:
    assert platforms.fits(image, engine) is fits
