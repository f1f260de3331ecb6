"""What evidence costs: a study of many images and candidates, and the seconds that intervals, tests and checks add.

    python benchmarks/evidence.py                      10,000 images, 20 candidates, about 10 minutes on two cores
    python benchmarks/evidence.py --images 2000        a smaller one

The images are tinted noise in ten classes, the networks have random weights, so nothing need be downloaded. Everything
that can be asked for is asked for, but nested cross-validation, which trains every candidate again.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = 10
RATES = (3e-2, 2e-2, 1e-2, 7e-3, 5e-3, 3e-3, 2e-3, 1e-3, 5e-4, 3e-4)
BACKBONES = ("mobilenet:random", "mobilenet_v2:random")
SIDE = 64


def main() -> None:
    """Run the study and print its stages and the parts of its evidence."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        os.environ["HEADSTART_CACHE"] = str(place / "cache")
        write_images(place / "images", arguments.images)
        folder = run(place, arguments.epochs)
        timings = json.loads((folder / "timings.json").read_text("utf-8"))
        log = [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
    for stage, seconds in timings["stages"].items():
        print(f"{stage:<24}{seconds:8.1f} s")
    for entry in log:
        if entry["event"] == "evidence":
            print(f"  {entry['part']:<22}{entry['seconds']:8.1f} s")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=5)
    return parser.parse_args()


def write_images(folder: Path, count: int) -> None:
    """Write noise with a tint per class; the classes overlap."""
    random = np.random.default_rng(0)
    tints = random.uniform(80, 176, (CLASSES, 3))
    for number in range(count):
        label = number % CLASSES
        (folder / f"class{label}").mkdir(parents=True, exist_ok=True)
        pixels = np.clip(random.normal(tints[label] + random.normal(0, 25, 3), 40, (SIDE, SIDE, 3)), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"class{label}" / f"{number}.jpg", quality=90)


def run(place: Path, epochs: int) -> Path:
    """Run the study with all evidence and return its folder."""
    from headstart import api
    from headstart.terminal import make_progress

    settings = api.Settings(
        backbones=BACKBONES,
        learning_rates=RATES,
        epochs=epochs,
        image_size=32,
        learning_curve=True,
        combine=True,
        target_precision=("class0=0.9",),
    )
    return api.compare(place / "images", settings, out=place / "run", progress=make_progress(quiet=False)).folder


if __name__ == "__main__":
    main()
