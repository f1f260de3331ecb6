"""How many labels are doubted for nothing, and how many planted errors are found: clean and planted sets.

    python benchmarks/doubts.py DATASETS               all sets, about 10 minutes on two cores
    python benchmarks/doubts.py                        Gaussian classes alone, about 3 minutes

DATASETS holds flower_photos and imagenette_160; HEADSTART_WEIGHTS names the folder of weights. To judge hundreds of
sets, no whole studies run: answers out of fold are those of scikit-learn's StandardScaler and LogisticRegression, and
the features of photographs are MobileNet's, taken once from a study. Everything behind is headstart's own. "Weak" is a
head that sees 4 or 5 dimensions of the features, or classes that overlap; "fast" one that is hardly regularised.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from headstart.evaluation.labels import doubt_labels
from headstart.evaluation.neighbours import normalised
from headstart.study.doubts import FEWEST_IMAGES, FEWEST_OF_CLASS, doubting_logits, tells_apart
from headstart.study.neighbours import log_ratios

CHANNELS = 64
Images = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True)
class Setting:
    """Where images come from, how many of their labels are wrong, and ``C`` of the logistic regression."""

    name: str
    draw: Callable[[np.random.Generator], Images]
    classes: int
    wrong: int = 0
    strength: float = 0.01
    runs: int | None = None


def main() -> None:
    """Print a row for every setting."""
    arguments = _arguments()
    print(" " * 44 + "  acc.  able  shown listed, maximum estimate  over  prec.  recall")
    for setting in (*gaussian(), *(photographs(arguments.datasets) if arguments.datasets else ())):
        judge(setting, setting.runs or arguments.runs)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", type=Path, nargs="?")
    parser.add_argument("--runs", type=int, default=12, help="sets drawn of each kind")
    return parser.parse_args()


def gaussian() -> list[Setting]:
    """Return clean and planted sets of Gaussian classes, so many standard deviations from a common centre."""

    def setting(images: int, classes: int, apart: float, wrong: int = 0) -> Setting:
        def draw(random: np.random.Generator) -> Images:
            labels = random.permutation(np.arange(images) % classes)
            return random.normal(size=(images, CHANNELS)) + apart * np.eye(CHANNELS)[labels], labels

        return Setting(f"Gaussian {classes} x {images // classes}, {apart} apart", draw, classes, wrong)

    clean = (
        (50, 2, 2),
        (100, 5, 2),
        (100, 5, 4),
        (300, 5, 1.5),
        (300, 5, 3),
        (1000, 5, 2),
        (1000, 10, 4),
        (174, 29, 5),
    )
    planted = (
        (300, 5, 4, 15),
        (1000, 5, 2, 50),
        (1000, 5, 3, 50),
        (1000, 5, 4, 50),
        (1000, 10, 4, 50),
        (1000, 10, 4, 20),
    )
    return [*(setting(*one) for one in clean), *(setting(*one) for one in planted)]


def photographs(datasets: Path) -> list[Setting]:
    """Return clean and planted parts of real photographs."""
    flowers, names = features_of(datasets / "flower_photos"), features_of(datasets / "imagenette_160")
    few = {
        kind: (PCA(100, random_state=0).fit_transform(values), labels)
        for kind, (values, labels) in (("flowers", flowers), ("imagenette", names))
    }

    def part(kind: str, images: int, channels: int = 100, wrong: int = 0, *, strength: float = 0.01) -> Setting:
        def draw(random: np.random.Generator) -> Images:
            values, labels = few[kind]
            chosen = random.choice(len(labels), images, replace=False)
            return values[chosen, :channels], labels[chosen]

        how = "weak" if channels < 100 else "fast" if strength > 1 else "strong"
        return Setting(f"{kind}, {images}, {how}", draw, int(few[kind][1].max()) + 1, wrong, strength)

    def whole(wrong: int) -> Setting:
        return Setting("flowers, all that validate", lambda _: flowers, 5, wrong, 0.003, runs=3 if wrong else 1)

    return [
        *(part("flowers", images) for images in (60, 100, 300, 1000)),
        *(part("flowers", images, strength=100) for images in (300, 1000)),
        *(part("flowers", images, 4) for images in (100, 1000)),
        *(part("imagenette", images) for images in (300, 1000)),
        part("imagenette", 1000, 5),
        *(part("flowers", images, wrong=images // 20) for images in (300, 1000)),
        part("flowers", 1000, 4, 50),
        *(part("imagenette", images, wrong=images // 20) for images in (300, 1000)),
        *(whole(wrong) for wrong in (0, 40)),
    ]


def features_of(data: Path) -> Images:
    """Return MobileNet's features ``(images, channels)`` and labels of the training images, from a study."""
    from headstart import api
    from headstart.classifier.answering import Answering
    from headstart.evaluation.evidence import Evidence
    from headstart.study import study

    found: list[Images] = []

    def gather(case, *_):
        rows = case.parts.train
        values = [case.learner_of(case.best).features(rows[at : at + 512]) for at in range(0, len(rows), 512)]
        found.append((np.concatenate(values).astype(np.float64), case.parts.labels[rows]))
        return Evidence(), Answering()

    study.gather = gather
    with tempfile.TemporaryDirectory() as name:
        api.compare(data, api.Settings(backbones=("mobilenet",)), out=Path(name) / "run")
    return found[0]


def judge(setting: Setting, runs: int) -> None:
    """Draw sets, plant errors, doubt labels, and print the means over all sets.

    Shown: share of sets with an estimate. Over: share of sets whose estimate is above the planted number.
    """
    results = np.array([judge_one(setting, np.random.default_rng(seed), seed) for seed in range(runs)])
    accuracy, able, estimates, listed, right, images = results.T
    wrong = setting.wrong
    text = f"{setting.name + (f', {wrong} wrong' if wrong else ''):44}{accuracy.mean():6.2f}{able.mean():6.2f}"
    text += f"{np.mean(estimates > 0):7.2f}{np.mean(listed / images):7.1%}{np.max(listed / images):7.1%}"
    if wrong:
        text += f"{estimates.mean():10.1f}{np.mean(estimates > wrong):6.2f}"
        text += f"{right.sum() / max(1, listed.sum()):7.2f}{right.mean() / wrong:8.2f}"
    print(text, flush=True)


def judge_one(setting: Setting, random: np.random.Generator, seed: int) -> tuple[float, ...]:
    """Return accuracy, whether labels can be judged, the estimate, images listed, planted ones among them, images."""
    features, truth = setting.draw(random)
    wrong = random.choice(len(truth), setting.wrong, replace=False)
    labels = truth.copy()
    labels[wrong] = (truth[wrong] + random.integers(1, setting.classes, setting.wrong)) % setting.classes
    logits, evidence = out_of_fold(features, labels, setting, seed)
    accuracy = float(np.mean(logits.argmax(axis=1) == truth))
    # no set here has both classes of ten or more and smaller ones that would change anything
    if (
        len(labels) < FEWEST_IMAGES
        or np.bincount(labels).max() < FEWEST_OF_CLASS
        or not tells_apart(labels, logits, seed)
    ):
        return accuracy, 0, 0, 0, 0, len(labels)
    found = doubt_labels(labels, doubting_logits(logits, labels, evidence), seed=seed)
    right = int(np.isin(found.doubted, wrong).sum())
    return accuracy, 1, found.wrong or 0, len(found.doubted), right, len(labels)


def out_of_fold(features: np.ndarray, labels: np.ndarray, setting: Setting, seed: int) -> Images:
    """Return logits and the evidence of neighbours, both ``(images, classes)``, over five folds."""
    classes = setting.classes
    logits, evidence = np.zeros((len(labels), classes)), np.zeros((len(labels), classes))
    for train, validation in StratifiedKFold(5, shuffle=True, random_state=seed).split(features, labels):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=setting.strength, max_iter=300))
        scores = model.fit(features[train], labels[train]).decision_function(features[validation])
        logits[validation] = scores if classes > 2 else np.column_stack([-scores / 2, scores / 2])
        stored, asked = normalised(features[train]), normalised(features[validation])
        evidence[validation] = log_ratios(asked, stored, labels[train], classes)
    return logits, evidence


if __name__ == "__main__":
    main()
