"""How well images of no class are told: classes left out in turn, and photographs of something else altogether.

    python benchmarks/unknown.py DATASETS              MobileNet, three seeds, about 5 minutes on two cores

DATASETS holds flower_photos and natural_images, a folder per class each; HEADSTART_WEIGHTS names the folder of weights.
The method is chosen on training images; what stands below it is measured on test images, flowers against photographs of
cars, aeroplanes and motorbikes too.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from itertools import islice
from pathlib import Path

STRANGE = ("car", "airplane", "motorbike")


def main() -> None:
    """Run a study per data set and seed, and print what each method reaches."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        copy_strangers(arguments.datasets / "natural_images", place / "strangers", arguments.strangers)
        for seed in range(arguments.seeds):
            judge(arguments.datasets / "flower_photos", place / f"flowers-{seed}", seed, place / "strangers")
        judge(arguments.datasets / "natural_images", place / "natural", 0, None)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--strangers", type=int, default=100, help="photographs of each strange kind")
    return parser.parse_args()


def copy_strangers(source: Path, folder: Path, count: int) -> None:
    """Copy the first photographs of every strange kind into one folder."""
    folder.mkdir()
    for kind in STRANGE:
        for path in islice(sorted((source / kind).iterdir()), count):
            shutil.copy(path, folder)


def judge(data: Path, out: Path, seed: int, strangers: Path | None) -> None:
    """Run one study and print its answer "unknown"."""
    from headstart import api

    settings = api.Settings(backbones=("mobilenet",), learning_rates=(1e-2, 1e-3), seed=seed, unknown=strangers)
    found = api.compare(data, settings, out=out).summary.unknown
    assert found is not None, "every study looks for the unknown"
    print(f"{data.name}, seed {seed}: {found.method}, keeps {found.kept:.1%} of the known test images")
    for one in found.methods:
        print(f"  training images, mean AUROC over the classes left out  {one.method:<24}{one.auroc:8.3f}")
    print(f"  test images, mean AUROC over the classes left out      {found.method:<24}{found.mean_auroc:8.3f}")
    for trial in (*found.trials, found.folder):
        if trial:
            print(f"  {trial.name:<14}{trial.images:6} images  AUROC {trial.auroc:.3f}  refused {trial.refused:.1%}")


if __name__ == "__main__":
    main()
