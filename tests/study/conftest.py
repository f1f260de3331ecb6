"""A small folder of photographs and a finished study of it, shared by the tests of this room."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart import api
from headstart.api import Result, Settings

TINTS = {"blue": (40, 60, 200), "green": (50, 180, 60), "red": (200, 50, 60)}
SETTINGS = Settings(backbones=("mobilenet:random",), learning_rates=(1e-2, 1e-3), folds=3, epochs=8, image_size=32)


@dataclass(frozen=True)
class Finished:
    data: Path
    cache: Path
    settings: Settings
    result: Result


def write_photographs(folder: Path, count: int = 24) -> Path:
    """Write noisy tinted squares, ``count`` per class, and one file that is no image."""
    random = np.random.default_rng(0)
    for name, tint in TINTS.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.clip(random.normal(tint, 40, (36, 40, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    (folder / "red" / "torn.jpg").write_bytes(b"\xff\xd8\xff no picture")
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    place = tmp_path_factory.mktemp("study")
    data = write_photographs(place / "photos")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(place / "cache"))
        result = api.compare(data, SETTINGS, out=place / "run")
    return Finished(data, place / "cache", SETTINGS, result)
