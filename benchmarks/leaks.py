"""A data set of which test images are also training images: what the verdict, the card and the list of runs say of it.

    python benchmarks/leaks.py SHARED [--share 0.4]

A fifth of flower_photos becomes the given test split; of it, ``share`` is copied into the training images too.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np

from headstart import api
from headstart.runs import history
from headstart.study.settings import Settings


def with_leaks(photographs: Path, folder: Path, share: float) -> Path:
    """Copy photographs into ``train`` and ``test``, some of the latter into both."""
    random = np.random.default_rng(1)
    for of_class in sorted(one for one in photographs.iterdir() if one.is_dir()):
        files = random.permutation(sorted(of_class.iterdir()))
        border = len(files) // 5
        leaked = {*files[: round(share * border)]}
        for number, file in enumerate(files):
            for part in ["test"] * (number < border) + ["train"] * (number >= border or file in leaked):
                place = folder / part / of_class.name
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, place / f"{part}-{file.name}")
    return folder


def main() -> None:
    """Print what a reader meets first, everywhere."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("shared", type=Path)
    parser.add_argument("--share", type=float, default=0.4)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        data = with_leaks(arguments.shared / "datasets" / "flower_photos", Path(name) / "photos", arguments.share)
        settings = Settings(backbones=("mobilenet", "mobilenet_v2"))
        weights = arguments.shared / "weights"
        found = api.compare(data, settings, out=Path(name) / "runs" / "one", weights_dir=weights)
        print("verdict:", found.summary.verdict)
        print("summary:", found.summary.clean[0])
        card = (found.classifier / "README.md").read_text("utf-8")
        print("card:   ", next(line for line in card.splitlines() if "played no part" in line))
        [run] = history.find_runs(Path(name) / "runs")
        print("runs:   ", run.test)


if __name__ == "__main__":
    main()
