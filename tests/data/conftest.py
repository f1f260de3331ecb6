"""Small images on disk, and image tables without any image."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.images import ImageRow, ImageTable
from headstart.data.listing import FileSource


def picture(seed: int, height: int = 12, width: int = 16) -> Image.Image:
    """Return an RGB image of noise."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def make_photograph(seed: int, size: tuple[int, int] = (150, 110)) -> Image.Image:
    """Return soft spots of colour with structure on all scales, which is what photographs have."""
    random = np.random.default_rng(seed)
    total = np.zeros((size[1], size[0], 3))
    for cells in (3, 6, 12, 25, 50):
        noise = Image.fromarray(random.integers(0, 256, (cells, cells, 3), np.uint8))
        total += np.asarray(noise.resize(size, Image.Resampling.BICUBIC), float) / cells**0.7
    low, high = total.min(), total.max()
    return Image.fromarray(np.uint8(255 * (total - low) / (high - low)))


@pytest.fixture
def photograph() -> Callable[..., Image.Image]:
    """Return the function that makes a photograph."""
    return make_photograph


@pytest.fixture
def save() -> Callable[..., Path]:
    """Return a function that saves noise under a path, creating folders."""

    def save_picture(path: Path, seed: int, **options: object) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(seed).save(path, **options)
        return path

    return save_picture


@pytest.fixture
def flowers(tmp_path: Path, save: Callable[..., Path]) -> Path:
    """Return a folder with 4 daisies and 3 roses."""
    root = tmp_path / "flowers"
    for index in range(4):
        save(root / "daisy" / f"{index}.png", index)
    for index in range(3):
        save(root / "rose" / f"{index}.png", 100 + index)
    return root


def make_row(name: str, label: str, *, group: str = "", split: str = "", content: str = "") -> ImageRow:
    """Return a row of a readable image whose hash is made from ``content`` or its name."""
    sha256 = hashlib.sha256((content or name).encode()).hexdigest()
    return ImageRow(name, label, sha256, 8, 8, "ok", "", group, split)


@pytest.fixture
def row() -> Callable[..., ImageRow]:
    """Return the function that makes a row."""
    return make_row


@pytest.fixture
def table() -> Callable[[list[ImageRow]], ImageTable]:
    """Return a function that makes a table from rows, in the order given."""

    def make_table(rows: list[ImageRow]) -> ImageTable:
        classes = tuple(sorted({row.label for row in rows if row.label}))
        return ImageTable("DATA", "data", classes, tuple(rows), FileSource(Path()))

    return make_table
