"""What recipes and ``compare --finetune`` reach on real photographs. Appends one JSON line per run to a file.

    python benchmarks/results.py SHARED --out results.jsonl [--only NAME ...]

SHARED holds ``datasets/`` and ``weights/`` (MobileNet, MobileNetV2, ResNet50). Every entry of ``RUNS`` is one command,
printed before it runs, so that it can be given by hand; with several seeds it runs once for each. Together they take
some hours on two cores. A run that was interrupted goes on. ``docs/results.md`` holds what was measured.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SEEDS = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class Run:
    """One command without its seed and folder; ``DATA`` in it becomes the folder of a dataset."""

    name: str
    data: str
    command: str
    seeds: tuple[int, ...] = (0,)

    def arguments(self, seed: int, shared: Path, folder: Path) -> list[str]:
        """Return the arguments of ``headstart``."""
        words = shlex.split(self.command)
        seeded = ["--set", f"protocol.seed={seed}"] if words[0] == "run" else ["--seed", str(seed)]
        data = str(shared / "datasets" / self.data)
        words = [data if word == "DATA" else word for word in words]
        return [*words, *seeded, "--weights-dir", str(shared / "weights"), "--out", str(folder / f"{self.name}-{seed}")]


FINETUNE = (
    "compare DATA --backbones mobilenet --learning-rates 1e-3 --finetune --augment flip --holdout 0.2 --epochs 6 "
    "--label-smoothing 0.1 --finals all"
)
RUNS = (
    Run("imagenette-mobilenet-v2", "imagenette_160", "run imagenette-mobilenet-v2 --data DATA", SEEDS),
    Run("imagenette-best", "imagenette_160", "run imagenette-best --data DATA"),
    Run("flowers-mobilenet-v2", "flower_photos", "run flowers-mobilenet-v2 --data DATA", SEEDS),
    Run("flowers-resnet50", "flower_photos", "run flowers-resnet50 --data DATA"),
    Run("flowers-finetune", "flower_photos", FINETUNE, SEEDS),
    Run("natural-images-mobilenet", "natural_images", "compare DATA --backbones mobilenet --learning-rates 1e-2,1e-3"),
    Run(
        "natural-images-resnet50",
        "natural_images",
        "run natural-images-resnet50 --data DATA --set train.batch_size=16 --set train.optimizer.learning_rate=2e-4 "
        """--set train.schedule.kind=cosine --set 'augmentation.fresh=["flip"]'""",
    ),
    Run(
        "mnist-vgg16",
        "mnist",
        "run mnist-vgg16 --only vgg16-sgd-random --data DATA --set data.limit=10000 --set train.epochs=8 "
        "--set protocol.final_epochs=8",
    ),
)


def perform(run: Run, seed: int, shared: Path, folder: Path) -> dict[str, Any]:
    """Run one command with one seed and return its figures."""
    arguments = run.arguments(seed, shared, folder)
    print(f"$ headstart {shlex.join(arguments)}", flush=True)
    start = time.perf_counter()
    answer = subprocess.run(
        [sys.executable, "-m", "headstart.cli", *arguments, "--json"], check=True, stdout=subprocess.PIPE, text=True
    )
    seconds = time.perf_counter() - start
    return {"name": run.name, "seed": seed, "seconds": seconds, "candidates": figures(json.loads(answer.stdout))}


def figures(summary: dict[str, Any]) -> dict[str, dict[str, float | None]]:
    """Return validation and test accuracy of every candidate that finished."""
    tests = {final["candidate"]: final["test"]["accuracy"] for final in summary["finals"]}
    return {
        one["id"]: {"validation": one["cv"]["accuracy"]["mean"], "test": tests.get(one["id"])}
        for one in summary["candidates"]
        if one["cv"]
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return a Markdown table of every candidate: mean and range over the seeds, and the minutes of a run."""
    lines = ["| run | candidate | validation | test | minutes |", "|---|---|---|---|---|"]
    for name in dict.fromkeys(row["name"] for row in rows):
        mine = [row for row in rows if row["name"] == name]
        minutes = f"{statistics.mean(row['seconds'] for row in mine) / 60:.1f}"
        for candidate in mine[0]["candidates"]:
            found = [row["candidates"][candidate] for row in mine if candidate in row["candidates"]]
            cells = [spread([one[part] for one in found if one[part] is not None]) for part in ("validation", "test")]
            lines.append(f"| {name} | {candidate} | {cells[0]} | {cells[1]} | {minutes} |")
    return "\n".join(lines)


def spread(values: Sequence[float]) -> str:
    """Return a mean with the smallest and the largest value."""
    if not values:
        return ""
    mean = f"{statistics.mean(values):.4f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.4f} to {max(values):.4f})"


def main() -> None:
    """Run what was asked for and print the table of all runs in the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--out", type=Path, default=Path("results.jsonl"))
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the run folders")
    parser.add_argument("--only", nargs="*", default=[], choices=[run.name for run in RUNS])
    given = parser.parse_args()
    for run in RUNS:
        for seed in run.seeds if not given.only or run.name in given.only else ():
            row = perform(run, seed, given.shared, given.runs)
            with given.out.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")
    print(table([json.loads(line) for line in given.out.read_text("utf-8").splitlines()]))


if __name__ == "__main__":
    main()
