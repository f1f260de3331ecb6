"""How long the report of a large study takes, and how large it is: nothing is trained, the run folder is made up.

    python benchmarks/report.py                     both sizes; goals: 30 s and 20 MB, and 8 MB
    python benchmarks/report.py --only many         102 classes, 8,000 images
    python benchmarks/report.py --profile           and where the time goes

Every part of a report is there, with pictures that compress as badly as photographs.
"""

from __future__ import annotations

import argparse
import cProfile
import importlib.util
import io
import pstats
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headstart.report.page import write_report
from headstart.runs.folder import MapRow, RunFolder
from headstart.runs.rows import MAP_TILE
from headstart.study.image_map import MOST_IMAGES, MOST_PICTURES, picture_sheet

ROOT = Path(__file__).parents[1]
EVERYTHING = {"evidence": True, "galleries": True, "phases": (8,)}
SIDE = 160
"""Pixels on the longer side of a photograph in a gallery; samples and thumbnails are smaller."""
SHOWN_FUNCTIONS = 30


@dataclass(frozen=True, slots=True)
class Size:
    """A study's size, and how large its page may be."""

    classes: int
    images: int
    backbones: tuple[str, ...]
    rates: tuple[float, ...]
    megabytes: float
    seconds: float = 30.0


SIZES = {
    "few": Size(5, 3_670, ("mobilenet", "mobilenet_v2", "resnet50"), (1e-2, 1e-3), 8.0),
    "many": Size(102, 8_000, ("mobilenet", "mobilenet_v2"), (1e-2, 1e-3), 20.0),
}


def main() -> None:
    """Make each run folder up, write its report and print seconds and megabytes beside the goals."""
    arguments = _arguments()
    for name in arguments.only or SIZES:
        size = SIZES[name]
        with tempfile.TemporaryDirectory() as place:
            folder = made_up_run(Path(place) / "run", size)
            profile = cProfile.Profile()
            if arguments.profile:
                profile.enable()
            start = time.perf_counter()
            path = write_report(folder)
            seconds, megabytes = time.perf_counter() - start, path.stat().st_size / 1e6
            profile.disable()
            if arguments.keep:
                (arguments.keep / f"{name}.html").write_bytes(path.read_bytes())
        print(
            f"{size.classes} classes, {size.images} images: {seconds:.1f} s (goal {size.seconds:g}), "
            f"{megabytes:.1f} MB (goal {size.megabytes:g})"
        )
        if arguments.profile:
            pstats.Stats(profile).sort_stats("cumulative").print_stats(SHOWN_FUNCTIONS)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(SIZES), action="append")
    parser.add_argument("--profile", action="store_true", help="print the slowest functions")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the pages here")
    return parser.parse_args()


def made_up_run(path: Path, size: Size) -> RunFolder:
    """Write a run folder of the wanted size and return it."""
    builder = _builder()
    builder._jpeg = lambda seed, *, wide: photograph(seed, SIDE * 3 // 4 if wide else SIDE, SIDE)
    classes = tuple(f"{place:03d} a species with a name" for place in range(size.classes))
    sizes = {"backbones": size.backbones, "rates": size.rates, "per_class": round(size.images / size.classes)}
    folder: RunFolder = builder.Builder(path, builder.Sample(classes=classes, **sizes, **EVERYTHING)).build()
    write_map(folder, classes)
    return folder


def _builder() -> ModuleType:
    """Return the module of the tests that makes up run folders."""
    path = ROOT / "tests" / "report" / "conftest.py"
    spec = importlib.util.spec_from_file_location("made_up_run_folders", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def write_map(folder: RunFolder, classes: tuple[str, ...]) -> None:
    """Write a map of as many images as a study draws, each class in a heap of its own, with the largest sheet."""
    random = np.random.default_rng(0)
    centres = dict(zip(classes, random.uniform(-0.9, 0.9, (len(classes), 2)), strict=True))
    images = [row for row in folder.images() if row.status == "ok"][:MOST_IMAGES]
    rows = []
    for place, row in enumerate(images):
        x, y = centres[row.label] + random.normal(0, 0.05, 2)
        said = row.label if place % 11 else classes[place % len(classes)]
        tile = place if place < MOST_PICTURES else None
        rows.append(MapRow(row.path, row.label, row.split, said, round(x, 4), round(y, 4), tile))
    folder.write_map(rows, picture_sheet([pixels(place, MAP_TILE, MAP_TILE) for place in range(MOST_PICTURES)]))


def photograph(seed: int, height: int, width: int) -> bytes:
    """Return a made-up photograph as JPEG."""
    stream = io.BytesIO()
    Image.fromarray(pixels(seed, height, width)).save(stream, "jpeg", quality=80)
    return stream.getvalue()


def pixels(seed: int, height: int, width: int) -> NDArray[np.uint8]:
    """Return noise whose strength falls with its frequency, as that of photographs does (Field, JOSA A 1987)."""
    random = np.random.default_rng(seed)
    frequencies = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    strength = 1 / np.maximum(frequencies, 1 / height)
    grey = np.fft.irfft2(np.fft.rfft2(random.normal(size=(height, width))) * strength, (height, width))
    tint = random.uniform(60, 190, 3)
    return np.clip(tint + 45 * (grey / grey.std())[..., None], 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
