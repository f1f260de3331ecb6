"""The classifier of a plain study against five lines of scikit-learn, on the same features and the same split.

    python benchmarks/baseline.py SHARED --out baseline.jsonl [--sizes 10,20,50,200,0] [--seeds 5]
        [--combine | --budget SECONDS]
    python benchmarks/baseline.py --table baseline.jsonl

SHARED holds ``datasets/`` (flower_photos, natural_images, imagenette_160) and ``weights/``; scikit-learn's digits are
written as pictures. A case is a data set, a number of training images a class (0: the whole set, of which the study
cuts a fifth as a test), a seed and a network. Of subsets, up to 100 other images a class are a given test set. The
study is that of ``headstart compare DATA --backbones NETWORK``: its plan, rounds, choice and final training, without
what does not touch the classifier (evidence, page). The rival is ``StandardScaler`` and ``LogisticRegressionCV`` (9
values of C, 5 folds). Cases that a file holds are not run again. With ``--combine`` both networks take part, and what
``--combine`` would hand over is compared with the rival on each of them; with ``--budget``, what the whole command
hands over that may take so many seconds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from headstart import api, storage
from headstart.data.images import read_table
from headstart.evaluation.ranking import best_first
from headstart.evaluation.significance import mcnemar_exact
from headstart.machine import core_count
from headstart.progress import SILENT
from headstart.runs.folder import RunFolder
from headstart.study.case import Case, ranked_finalists
from headstart.study.combinations import combinations
from headstart.study.conclude import open_test, train_finals
from headstart.study.judge import candidate_result, finalists, judge
from headstart.study.optimism import optimism, selection_of
from headstart.study.parts import Parts, make_parts
from headstart.study.plan import make_plan
from headstart.study.prepare import Preparation
from headstart.study.settings import Settings, recipe_from
from headstart.study.workplace import open_workplace
from headstart.study.workshop import Workshop

NETWORKS = ("mobilenet", "mobilenet_v2")
SETS = ("flower_photos", "natural_images", "imagenette_160", "digits")
TEST_IMAGES = 100
LEVEL = 0.01


@dataclass(frozen=True, slots=True)
class Task:
    """One case; ``size`` is training images a class, 0 the whole set."""

    data: str
    size: int
    seed: int
    networks: tuple[str, ...]

    @property
    def key(self) -> str:
        """What finds it again in the file."""
        return f"{self.data} {self.size} {self.seed} {'+'.join(self.networks)}"


def digits(folder: Path) -> Path:
    """Write scikit-learn's digits as pictures, one folder per class."""
    from PIL import Image
    from sklearn.datasets import load_digits

    found = load_digits()
    for number, (pixels, label) in enumerate(zip(found.images, found.target, strict=True)):
        file = folder / str(label) / f"{number:04d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels / 16 * 255).round().astype(np.uint8)).save(file)
    return folder


def as_csv(root: Path, task: Task, file: Path) -> Path:
    """Write the task's images as a table of paths, labels and splits; the whole set has no splits."""
    images = [path for path in sorted(root.rglob("*")) if path.suffix.lower() in (".jpg", ".jpeg", ".png")]
    by_class: dict[str, list[Path]] = defaultdict(list)
    for path in images:
        by_class[path.parent.name].append(path)
    random, lines = np.random.default_rng([task.seed, task.size]), ["path,label" + (",split" if task.size else "")]
    for label, paths in sorted(by_class.items()):
        order = random.permutation(len(paths)) if task.size else np.arange(len(paths))
        train = min(task.size, int(0.8 * len(paths))) if task.size else len(paths)
        for place, number in enumerate(order):
            if place < train:
                lines.append(f"{paths[number]},{label}" + (",train" if task.size else ""))
            elif place < train + TEST_IMAGES:
                lines.append(f"{paths[number]},{label},test")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def study_of(task: Task, table_file: Path, weights: Path, folder: Path, *, combine: bool) -> tuple[Case, Any]:
    """Run the study as far as the test; return its case and the recommended combination, if there is one."""
    settings = Settings(backbones=task.networks, seed=task.seed, combine=combine)
    recipe = recipe_from(settings, weights_dir=weights)
    table = read_table(table_file, rules=recipe.data, cache=storage.cache_folder())
    plan = make_plan(table, recipe, weights_dir=weights, folds_asked=False)
    parts, place = make_parts(plan.splits, table.classes), open_workplace(RunFolder(folder), plan, SILENT, command="")
    workshop = Workshop(place, precision="f32", classes=len(table.classes))
    preparation, protocol = Preparation(plan, parts, workshop, place), plan.recipe.protocol
    judged = judge(preparation.ready(plan.networks), parts, protocol, place)
    results = [candidate_result(one, plan, parts) for one in judged]
    chosen = finalists(best_first(results, protocol.choose_by), protocol.finals)
    finals, _ = train_finals(chosen, judged, parts, protocol, place)
    opened, ranked = open_test(finals, parts, table.classes, place), ranked_finalists(results, finals, "accuracy")
    case = Case(plan, parts, preparation, judged, results, finals, opened, ranked, place)
    return case, next((one for one in combinations(case) if one.recommended), None) if combine else None


def rival_right(features: np.ndarray, parts: Parts) -> np.ndarray:
    """Return which test images five lines of scikit-learn get right."""
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegressionCV(Cs=9, cv=5, max_iter=300, n_jobs=core_count()))
    with warnings.catch_warnings():
        # of defaults that will change in later versions, and of passes that do not suffice for the weakest penalties
        warnings.simplefilter("ignore")
        model.fit(features[parts.train], parts.labels[parts.train])
    return model.predict(features[parts.test]) == parts.labels[parts.test]


def with_budget(task: Task, table: Path, weights: Path, folder: Path, seconds: float) -> tuple[str, float, float]:
    """Run the whole command within a budget; return whose classifier it hands over, its test accuracy, and seconds."""
    start = time.perf_counter()
    settings = Settings(backbones=task.networks, seed=task.seed, budget=seconds)
    found = api.compare(table, settings, out=folder, weights_dir=weights).summary
    [test] = [one.test for one in found.finals if one.candidate == found.recommended]
    return found.recommended, test.accuracy, time.perf_counter() - start


def perform(task: Task, root: Path, weights: Path, *, combine: bool, budget: float) -> dict[str, Any]:
    """Run one case and return its figures."""
    with tempfile.TemporaryDirectory() as name:
        start = time.perf_counter()
        table = as_csv(root, task, Path(name) / "images.csv")
        case, combination = study_of(task, table, weights, Path(name) / "run", combine=combine)
        seconds, test = time.perf_counter() - start, case.test_of(case.best)
        right = test.probabilities.argmax(axis=1) == test.labels
        shown = case.ranked[0].cv.accuracy.mean - selection_of(optimism(case))
        rivals, start = {}, time.perf_counter()
        for one in case.judged:
            features = one.learner.features(np.arange(len(case.parts.rows)))
            rivals[one.network.backbone.name] = rival_right(features, case.parts)
        rival_seconds = time.perf_counter() - start
        chosen, accuracy, taken = case.best, float(right.mean()), 0.0
        if combination:
            chosen, accuracy = combination.id, combination.test.accuracy
        if budget:
            chosen, accuracy, taken = with_budget(task, table, weights, Path(name) / "budget", budget)
    return {
        "key": task.key, "data": task.data, "size": task.size, "seed": task.seed, "networks": task.networks,
        "test_images": len(right), "ours": float(right.mean()), "shown": float(shown), "best": case.best,
        "with_option": accuracy, "chosen": chosen, "option_seconds": taken,
        "rivals": {name: float(one.mean()) for name, one in rivals.items()},
        "only_ours": {name: int((right & ~one).sum()) for name, one in rivals.items()},
        "only_theirs": {name: int((one & ~right).sum()) for name, one in rivals.items()},
        "seconds": seconds, "rival_seconds": rival_seconds,
    }  # fmt: skip


def tasks(sizes: Sequence[int], seeds: int, *, both: bool) -> Iterator[Task]:
    """Yield every case, the smallest first; the networks one by one, or ``both`` together."""
    for size in sizes:
        for seed in range(seeds):
            for data in SETS:
                for networks in [NETWORKS] if both else [(one,) for one in NETWORKS]:
                    yield Task(data, size, seed, networks)


def mean_and_half(values: Sequence[float]) -> str:
    """Return a mean with half of its 95 % interval, in points."""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{100 * statistics.fmean(values):+.2f} +- {196 * spread / len(values) ** 0.5:.2f}"


def is_worse(row: dict[str, Any], name: str) -> bool:
    """Tell whether the rival is better on the test images, by McNemar's exact test at 1 %."""
    ours, theirs = row["only_ours"][name], row["only_theirs"][name]
    return theirs > ours and mcnemar_exact(ours, theirs) < LEVEL


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    """Print the figures by data set and by size, in points of accuracy."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        size = f"{row['size']} a class" if row["size"] else "whole set"
        for name in (row["data"], size, "all"):
            groups[name].append(row)
    print(f"{'':<16}{'cases':>6}  {'ours - theirs':<16}{'worse':>6}  {'shown - test':<16}{'with the option':<16}")
    for name, members in groups.items():
        pairs = [(row, one) for row in members for one in row["rivals"]]
        gained = [row["ours"] - row["rivals"][one] for row, one in pairs]
        combined = [row["with_option"] - row["rivals"][one] for row, one in pairs if len(row["networks"]) > 1]
        worse = sum(is_worse(row, one) for row, one in pairs)
        shown = mean_and_half([row["shown"] - row["ours"] for row in members])
        last = mean_and_half(combined) if combined else ""
        print(f"{name:<16}{len(members):>6}  {mean_and_half(gained):<16}{worse:>6}  {shown:<16}{last}")


def main() -> None:
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("shared", type=Path, nargs="?")
    parser.add_argument("--out", type=Path, default=Path("baseline.jsonl"))
    parser.add_argument("--table", type=Path)
    parser.add_argument("--sizes", default="10,20,50,200,0")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--combine", action="store_true")
    parser.add_argument("--budget", type=float, default=0.0)
    arguments = parser.parse_args()
    file = arguments.table or arguments.out
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []
    if arguments.shared:
        known = {row["key"] for row in rows}
        roots = {name: arguments.shared / "datasets" / name for name in SETS}
        roots["digits"] = digits(Path(tempfile.mkdtemp()))
        weights, both = arguments.shared / "weights", arguments.combine or arguments.budget > 0
        run = partial(perform, weights=weights, combine=arguments.combine, budget=arguments.budget)
        for task in tasks([int(one) for one in arguments.sizes.split(",")], arguments.seeds, both=both):
            if task.key not in known:
                rows.append(run(task, roots[task.data]))
                with file.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(rows[-1]) + "\n")
                print(json.dumps(rows[-1]), flush=True)
    print_table(rows)


if __name__ == "__main__":
    main()
