"""How often the rules of the evidence hold, in simulated studies: python benchmarks/rules.py [--studies 300]

The prediction of the test from the folds should hold the test accuracy in 98 to 100 % of the studies at 99 %, a network
that is 3 points worse should never be taken for equivalent, and answers that have nothing to do with the images should
seldom pass for a classifier. Logistic regression on Gaussian features, and answers drawn at random: no photographs, no
weights. A few minutes.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from headstart.evaluation.baseline import chance_of_recall
from headstart.evaluation.expected_test import expect_test
from headstart.evaluation.optimism import correct_choice
from headstart.evaluation.significance import mcnemar_mid_p, upper_difference

Array = NDArray[Any]


@dataclass(frozen=True)
class Design:
    """Classes of Gaussian features, ``apart`` standard deviations from their common centre."""

    images: int
    test_images: int
    classes: int = 4
    features: int = 12
    apart: float = 2.0
    repeats: int = 1

    def draw(self, images: int, random: np.random.Generator) -> tuple[Array, Array]:
        """Return features and labels of new images."""
        labels = random.permutation(np.arange(images) % self.classes)
        centres = np.eye(self.classes, self.features) * self.apart
        return random.normal(size=(images, self.features)) + centres[labels], labels


def right(train: tuple[Array, Array], judged: tuple[Array, Array], penalty: float, columns: int) -> Array:
    """Return which of the judged images a logistic regression on the first columns classifies right."""
    model = LogisticRegression(C=penalty, max_iter=200, tol=0.01).fit(train[0][:, :columns], train[1])
    return model.predict(judged[0][:, :columns]) == judged[1]


def folds_hold_the_test(design: Design, seed: int) -> tuple[bool, float]:
    """Tell whether the test accuracy of the best of three candidates lies in the interval; and what was expected."""
    random = np.random.default_rng(seed)
    data, test = design.draw(design.images, random), design.draw(design.test_images, random)
    candidates = [(0.03, design.features), (1.0, design.features), (1.0, design.features - 2)]
    said = np.zeros((design.images, len(candidates)))
    rounds: list[tuple[Array, list[float]]] = []
    for repeat in range(design.repeats):
        for train, held in StratifiedKFold(5, shuffle=True, random_state=seed + repeat).split(*data):
            parts = [tuple(part[rows] for part in data) for rows in (train, held)]
            answers = np.stack([right(*parts, *one) for one in candidates], axis=1)
            said[held] += answers / design.repeats
            rounds.append((held, answers.mean(axis=0).tolist()))
    found = correct_choice(said, [said], seed=seed, draws=400)
    best = found.chosen
    expected = expect_test(
        [accuracies[best] for _, accuracies in rounds],
        [len(held) for held, _ in rounds],
        images_of_repeat=design.images,
        selection_bias=found.optimism,
        test_images=design.test_images,
    )
    reached = float(right(data, test, *candidates[best]).mean())
    return expected.low <= reached <= expected.high, reached - expected.expected


def predictions(studies: int) -> None:
    print("\nThe test accuracy lies in the interval that the folds predict (99 % nominal)")
    print(
        f"{'images':>7} {'test':>5} {'classes':>8} {'apart':>6} {'repeats':>8} {'held':>7} {'test minus expected':>20}"
    )
    designs = [
        Design(60, 20),
        Design(60, 500),
        Design(60, 100, classes=2, apart=1.0),
        Design(150, 50, apart=1.5),
        Design(150, 50, apart=4.0),
        Design(150, 50, repeats=3),
        Design(400, 100, classes=10, features=20, apart=2.5),
        Design(1000, 250),
        Design(1000, 500, apart=3.0),
    ]
    for design in designs:
        held, off = np.array([folds_hold_the_test(design, seed) for seed in range(studies)]).T
        print(
            f"{design.images:>7} {design.test_images:>5} {design.classes:>8} {design.apart:>6} {design.repeats:>8} "
            f"{held.mean():>7.1%} {100 * off.mean():>+13.1f} points"
        )


def answers(images: int, best: float, worse: float, shared: float, random: np.random.Generator) -> tuple[Array, Array]:
    """Return which images two classifiers get right; a share of them is equally hard for both."""
    hard, own = random.random(images), random.random((2, images))
    luck = np.where(random.random(images) < shared, hard, own)
    return luck[0] < best, luck[1] < best - worse


def equivalent(studies: int) -> None:
    print("\nA cheaper network is taken for equivalent, in % of the studies (agreement on 3/4 of the images)")
    print(f"{'images':>7} {'accuracy':>9} {'worse by':>9} {'margin 1':>9} {'margin 2':>9}")
    for images in (60, 200, 1000, 3000):
        for best, worse in ((0.85, 0.03), (0.85, 0.0), (0.95, 0.03), (0.95, 0.0), (1.0, 0.03)):
            random = np.random.default_rng(0)
            bounds = np.array(
                [upper_difference(*answers(images, best, worse, 0.75, random)) for _ in range(10 * studies)]
            )
            taken = [100 * np.mean(bounds <= margin) for margin in (0.01, 0.02)]
            print(f"{images:>7} {best:>9.0%} {100 * worse:>7.0f} pt {taken[0]:>9.1f} {taken[1]:>9.1f}")


def answered(sizes: tuple[int, ...], apart: float, random: np.random.Generator) -> tuple[Array, Array]:
    """Return labels and answers of the best rule for classes so far apart and so frequent; 0: noise."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    scores = random.normal(size=(len(labels), len(sizes))) + apart * np.eye(len(sizes))[labels]
    weight = apart or 1.0
    return labels, (weight * scores + np.log(sizes)).argmax(axis=1)


def commonest_beaten(labels: Array, said: Array) -> bool:
    """Tell whether McNemar's test shows the answers better than naming the commonest class."""
    commonest = np.bincount(labels).argmax()
    only_said, only_class = (said == labels) & (labels != commonest), (said != labels) & (labels == commonest)
    more, less = int(only_said.sum()), int(only_class.sum())
    return more > less and mcnemar_mid_p(more, less) < 0.05


def tells_apart(sizes: tuple[int, ...], apart: float, seed: int, candidates: int = 12) -> tuple[bool, bool]:
    """Tell whether the answers pass as better than chance, and whether they beat naming the commonest class.

    Four times as many images are answered out of fold, by every candidate; the best of them is judged.
    """
    random = np.random.default_rng(seed)
    folds = [answered(tuple(4 * size for size in sizes), apart, random) for _ in range(candidates)]
    labels, best = max(folds, key=lambda one: float(np.mean(one[0] == one[1])))
    out_of_fold = chance_of_recall(labels, best, len(sizes), seed=seed) * candidates
    labels, said = answered(sizes, apart, random)
    on_test = chance_of_recall(labels, said, len(sizes), seed=seed)
    return on_test < 0.05 or out_of_fold < 0.01, commonest_beaten(labels, said)


def better_than_naming(studies: int) -> None:
    print("\nBetter than naming the commonest class, in % of the studies (test images a class; best of 12 candidates)")
    print(f"{'classes':>16} {'noise passes':>13} {'classifier passes':>18} {'beats the commonest by McNemar':>31}")
    for sizes in ((60, 20), (150, 8), (10,) * 5, (10, 10), (100, 5), (4,) * 10):
        words = f"{len(sizes)} of {sizes[0]}" if len(set(sizes)) == 1 else ":".join(map(str, sizes))
        noise = np.mean([tells_apart(sizes, 0.0, seed)[0] for seed in range(studies)])
        passes, beats = np.mean([tells_apart(sizes, 1.2, seed) for seed in range(studies)], axis=0)
        print(f"{words:>16} {100 * noise:>13.1f} {100 * passes:>18.1f} {100 * beats:>31.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=300, help="simulated studies of each design")
    studies = parser.parse_args().studies
    equivalent(studies)
    better_than_naming(studies)
    predictions(studies)


if __name__ == "__main__":
    main()
