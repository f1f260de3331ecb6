"""Answers where some errors matter more than others: thresholds of classes, and costs of errors. NumPy alone.

Targets change as few answers as they can: where the most probable class already meets a target, nothing changes.

- A precision target of a class only withholds it: it is answered where it is the most probable class and its
  probability reaches the threshold. Elsewhere the next class is the answer.
- A recall target of a class only adds to it: from the threshold on it is answered even where another class is more
  probable.
- With costs, the answer is the class whose expected cost is least.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.integer[Any]]
Floats = NDArray[np.floating[Any]]
Answered = NDArray[np.int64]

NEVER = 2.0
"""A threshold that no probability reaches."""
ALWAYS_FIRST = 0.5
"""From this probability on a class is the most probable one."""
FEWEST_ANSWERS = 10
NO_CLASS = -1
"""The answer where no class may be named."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """From which calibrated probability a class is answered; ``kind`` is ``precision`` or ``recall``."""

    class_: str
    kind: str
    value: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What it costs to answer ``answered`` where ``true`` is right; 0 or more."""

    true: str
    answered: str
    cost: float


def threshold_for(kind: str, target: float, *, of_class: NDArray[np.bool_], scores: Floats, index: int) -> float:
    """Return the threshold of a class that reaches a target with the fewest changed answers.

    Args:
        kind: ``precision`` or ``recall``.
        target: above 0 and below 1.
        of_class: which images belong to the class, ``(images,)``.
        scores: calibrated probabilities ``(images, classes)`` by models that did not learn from these images.
        index: the column of the class.

    Returns:
        For a precision 0.0 where nothing need be withheld, and ``NEVER`` where no threshold reaches the target. For a
        recall at most 0.5, where nothing need be added.
    """
    first, mine = scores.argmax(axis=1) == index, scores[:, index]
    if kind == "precision":
        return _precise_from(target, of_class[first], mine[first])
    return _found_from(target, of_class, first, mine)


def _precise_from(target: float, right: NDArray[np.bool_], scores: Floats) -> float:
    """Return the lowest threshold that keeps the precision, even with one wrong answer more than was seen.

    Among the thresholds tried, the lowest that happens to reach the target was lucky more often than not; the one wrong
    answer more makes up for it, so that the target holds on average on new images. (R. F. Barber and E. J. Candes,
    Annals of Statistics 43 (2015) 2055-2085, add the same 1 to keep a share of false discoveries.) Where answers are
    too few for that, the threshold that comes nearest to it is taken of those that reach the target as seen, with ten
    answers or more; a class with fewer answers in all stays as it is where they reach the target.
    """
    order = np.argsort(-scores, kind="stable")
    falling, answers = scores[order], np.arange(1, len(order) + 1)
    hits = np.cumsum(right[order])
    # equal scores are answered together
    ends = np.append(falling[:-1] != falling[1:], True)[: len(order)]
    reached = np.flatnonzero(ends & (hits >= target * answers - 1e-9))
    careful = (hits[reached] - 1) / answers[reached]
    kept = np.flatnonzero(careful >= target - 1e-9)
    if len(order) < FEWEST_ANSWERS and len(order) - 1 in reached:
        return 0.0
    if not len(kept) and (not len(reached) or answers[reached[careful.argmax()]] < FEWEST_ANSWERS):
        return NEVER
    last = reached[kept[-1] if len(kept) else careful.argmax()]
    return 0.0 if last == len(order) - 1 else float((falling[last] + falling[last + 1]) / 2)


def _found_from(target: float, of_class: NDArray[np.bool_], first: NDArray[np.bool_], scores: Floats) -> float:
    """Return the highest threshold that finds the share of the class's images, on average of new ones too.

    Of n images the ceil(target (n + 1)) most probable ones must be found: a new image stands in any place among them
    with equal chance. (V. Vovk, A. Gammerman and G. Shafer, Algorithmic Learning in a Random World, 2005.)
    """
    mine = of_class & ~first
    images = int(of_class.sum())
    missing = min(math.ceil(target * (images + 1) - 1e-9), images) - int((of_class & first).sum())
    if missing <= 0:
        return ALWAYS_FIRST
    needed = float(np.sort(scores[mine])[::-1][missing - 1])
    below = scores[~first & (scores < needed)]
    return (needed + float(below.max())) / 2 if len(below) else needed


def answered(
    probabilities: Floats, classes: Sequence[str], thresholds: Sequence[Threshold], costs: Sequence[Cost]
) -> Answered:
    """Return the class index answered for every image ``(images,)``, ``NO_CLASS`` where none may be named.

    Args:
        probabilities: calibrated, ``(images, classes)``.
        thresholds: one per class at most. Where several classes reach a recall threshold, the most probable of them is
            answered. Where all classes have a precision threshold and none is reached, none may be named.
        costs: of errors; those that are not named cost 1.
    """
    if costs:
        return _least_cost(probabilities, cost_matrix(costs, classes))
    if not thresholds:
        likeliest: Answered = probabilities.argmax(axis=1).astype(np.int64)
        return likeliest
    withheld, added = _limits(thresholds, classes, "precision", 0.0), _limits(thresholds, classes, "recall", NEVER)
    wanted = np.where(probabilities >= added, probabilities, -1.0)
    allowed = np.where(probabilities >= withheld, probabilities, -1.0)
    chosen = np.where((wanted >= 0).any(axis=1), wanted.argmax(axis=1), allowed.argmax(axis=1))
    nothing = (wanted < 0).all(axis=1) & (allowed < 0).all(axis=1)
    final: Answered = np.where(nothing, NO_CLASS, chosen).astype(np.int64)
    return final


def _limits(thresholds: Sequence[Threshold], classes: Sequence[str], kind: str, other: float) -> NDArray[np.float64]:
    """Return every class's threshold of a kind ``(classes,)``, ``other`` where it has none."""
    values = {one.class_: one.value for one in thresholds if one.kind == kind}
    return np.array([values.get(name, other) for name in classes])


def cost_matrix(costs: Sequence[Cost], classes: Sequence[str]) -> NDArray[np.float64]:
    """Return what each answer costs, ``(true classes, answered classes)``: 0 where right, 1 where not named."""
    index = {name: place for place, name in enumerate(classes)}
    matrix = 1 - np.eye(len(classes))
    for one in costs:
        matrix[index[one.true], index[one.answered]] = one.cost
    return matrix


def _least_cost(probabilities: Floats, matrix: NDArray[np.float64]) -> Answered:
    """Return the answers of least expected cost; of equal ones the more probable."""
    expected = probabilities @ matrix
    least = expected <= expected.min(axis=1, keepdims=True) + 1e-12
    chosen: Answered = np.where(least, probabilities, -1.0).argmax(axis=1).astype(np.int64)
    return chosen
