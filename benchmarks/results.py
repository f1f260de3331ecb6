"""What the recipes reach on real photographs, beside what the reports published. Writes one JSON line per run.

    python benchmarks/results.py SHARED --out results.jsonl [--only NAME ...] [--seeds 0 1 2]

SHARED holds ``datasets/`` and ``weights/`` (MobileNet, MobileNetV2, ResNet50). Every entry of ``RUNS`` is one command,
printed before it runs, so that it can be given by hand. Together they take some hours on two cores; each may be run
alone, and one that was interrupted goes on. ``docs/results.md`` holds what was measured.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart import api
from headstart.evaluation.results import Summary
from headstart.terminal import LineProgress


@dataclass(frozen=True, slots=True)
class Run:
    """One recipe (or ``compare`` with its options) on one dataset, and the seeds with which it is repeated."""

    name: str
    data: str
    recipe: str
    overrides: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)


RUNS = (
    Run("imagenette-mobilenet-v2", "imagenette_160", "imagenette-mobilenet-v2", seeds=(0, 1, 2)),
    Run("imagenette-best", "imagenette_160", "imagenette-best", seeds=(0, 1, 2)),
    Run("flowers-mobilenet-v2", "flower_photos", "flowers-mobilenet-v2", seeds=(0, 1, 2)),
    Run("flowers-handmade", "flower_photos", "flowers-handmade"),
    Run("flowers-resnet50", "flower_photos", "flowers-resnet50"),
    Run("flowers-finetuned", "flower_photos", "flowers-finetuned", seeds=(0, 1, 2)),
    Run("natural-images-mobilenet", "natural_images", "linnaeus5-mobilenet", ("image_size=128",)),
    Run("natural-images-resnet50", "natural_images", "natural-images-resnet50"),
    Run("mnist-vgg16", "mnist", "mnist-vgg16", ("weights=random", "data.limit=10000")),
)


def perform(run: Run, seed: int, shared: Path, folder: Path) -> dict[str, object]:
    """Run one recipe with one seed and return its figures."""
    overrides = (*run.overrides, f"protocol.seed={seed}")
    out = folder / f"{run.name}-{seed}"
    data, weights = shared / "datasets" / run.data, shared / "weights"
    sets = " ".join(f"--set {shlex.quote(text)}" for text in overrides)
    print(f"$ headstart run {run.recipe} --data {run.data} {sets}", flush=True)
    start = time.perf_counter()
    result = api.run(run.recipe, data=data, overrides=overrides, out=out, weights_dir=weights, progress=LineProgress())
    return {"name": run.name, "seed": seed, "seconds": time.perf_counter() - start, **figures(result.summary)}


def figures(summary: Summary) -> dict[str, object]:
    """Return validation and test accuracy and loss of every candidate, and the verdict."""
    tests = {final.candidate: final.test for final in summary.finals}
    candidates = {}
    for one in summary.candidates:
        test = tests.get(one.id)
        candidates[one.id] = {
            "validation": one.cv.accuracy.mean if one.cv else None,
            "validation_loss": one.cv.loss.mean if one.cv else None,
            "test": test.accuracy if test else None,
            "test_loss": test.loss if test else None,
            "reason": one.reason,
        }
    return {"best": summary.best, "candidates": candidates, "verdict": summary.verdict}


def table(rows: Sequence[dict[str, object]]) -> str:
    """Return a Markdown table: mean and range over the seeds of the best candidate's accuracies, and the time."""
    lines = ["| run | best candidate | validation | test | minutes |", "|---|---|---|---|---|"]
    for name in dict.fromkeys(str(row["name"]) for row in rows):
        mine = [row for row in rows if row["name"] == name]
        best = [row["candidates"][row["best"]] for row in mine]  # type: ignore[index]
        cells = [spread([one[part] for one in best]) for part in ("validation", "test")]
        minutes = statistics.mean(float(str(row["seconds"])) for row in mine) / 60
        lines.append(f"| {name} | {mine[0]['best']} | {cells[0]} | {cells[1]} | {minutes:.1f} |")
    return "\n".join(lines)


def spread(values: Sequence[float]) -> str:
    """Return a mean with the smallest and the largest value."""
    mean = f"{statistics.mean(values):.4f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.4f} to {max(values):.4f})"


def main() -> None:
    """Run what was asked for and print the table of all runs in the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--out", type=Path, default=Path("results.jsonl"))
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the run folders")
    parser.add_argument("--only", nargs="*", default=[], choices=[run.name for run in RUNS])
    parser.add_argument("--seeds", nargs="*", type=int)
    given = parser.parse_args()
    for run in RUNS:
        if not given.only or run.name in given.only:
            for seed in given.seeds or run.seeds:
                row = perform(run, seed, given.shared, given.runs)
                with given.out.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(row) + "\n")
    print(table([json.loads(line) for line in given.out.read_text("utf-8").splitlines()]))


if __name__ == "__main__":
    main()
