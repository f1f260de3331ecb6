"""Runs against each other: the same tests as within a study, on the test images that both of a pair have."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart import storage
from headstart.evaluation import significance
from headstart.evaluation.comparison import LEVEL, compare_on_test
from headstart.evaluation.results import Comparison
from headstart.report.finished_run import FinishedRun

FEWEST_IMAGES = 10
"""Below so many common test images nothing is tested."""

NAMED_CLASSES = 4
FIRST, SECOND = "first", "second"


@dataclass(frozen=True, slots=True, eq=False)
class Common:
    """The test images of two runs that show the same bytes under the same label, and that neither run learned from.

    ``first`` and ``second`` are their places among the test images of each, ``(images,)``. ``whole``: these are all
    test images of both. Of the test images that both have, ``learned`` were learned from in one of the runs, and
    ``relabelled`` bear another label there.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    whole: bool
    learned: int
    relabelled: int


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs on their common test images; ``first`` and ``second`` are their places among the runs.

    ``only_first`` and ``only_second`` are images that just one of the two got right. ``accuracy`` is McNemar's test,
    its p-value adjusted for all pairs of the page; ``further`` are the differences of other measures.
    """

    first: int
    second: int
    images: int
    whole: bool
    right_first: float
    right_second: float
    only_first: int
    only_second: int
    accuracy: Comparison
    further: tuple[Comparison, ...]
    needed: int | None
    aside: str


@dataclass(frozen=True, slots=True)
class Apart:
    """Two runs that cannot be tested against each other, and why."""

    first: int
    second: int
    reason: str


@dataclass(frozen=True, slots=True)
class Compared:
    """What could be tested between runs, and what not."""

    pairs: tuple[Pair, ...]
    apart: tuple[Apart, ...]


def compare_runs(runs: Sequence[FinishedRun]) -> Compared:
    """Compare the best candidates of runs on the test images they have in common.

    The run that did best in validation, so before any test image was looked at, is compared with every other one; those
    that share no test images with it are compared with all the others, and among themselves in the same way. The
    p-values of McNemar's test are adjusted by Holm over all pairs.
    """
    found: list[Pair | Apart] = []
    order = sorted(range(len(runs)), key=lambda place: -runs[place].validation)
    waiting = order
    while waiting:
        first, *others = waiting
        now = [_compared(runs, first, second) for second in others]
        waiting = [one.second for one in now if isinstance(one, Apart)]
        beside = [(one.second, left) for one in now if isinstance(one, Pair) for left in waiting]
        found += [*now, *(_compared(runs, *sorted(two, key=order.index)) for two in beside)]
    pairs = [one for one in found if isinstance(one, Pair)]
    return Compared(tuple(_adjusted(pairs)), tuple(one for one in found if isinstance(one, Apart)))


def _compared(runs: Sequence[FinishedRun], first: int, second: int) -> Pair | Apart:
    a, b = runs[first], runs[second]
    if reason := _unlike_classes(a, b):
        return Apart(first, second, reason)
    common = common_images(a, b)
    if len(common.first) < FEWEST_IMAGES:
        return Apart(first, second, _too_few(common))
    labels, scores = _answers(a, b, common)
    rows = compare_on_test(FIRST, labels, scores, seed_of(a, b))
    right = {name: one.argmax(axis=1) == labels for name, one in scores.items()}
    only_first = int(np.sum(right[FIRST] & ~right[SECOND]))
    only_second = int(np.sum(right[SECOND] & ~right[FIRST]))
    return Pair(
        first=first,
        second=second,
        images=len(labels),
        whole=common.whole,
        right_first=float(right[FIRST].mean()),
        right_second=float(right[SECOND].mean()),
        only_first=only_first,
        only_second=only_second,
        accuracy=next(row for row in rows if row.method.startswith("McNemar")),
        further=tuple(row for row in rows if row.measure != "accuracy"),
        needed=significance.images_needed(only_first, only_second, len(labels), level=LEVEL),
        aside="" if common.whole else _in_part(a, b, common),
    )


def seed_of(a: FinishedRun, b: FinishedRun) -> int:
    """Return the seed of the draws, which follows from the two studies and not from where they lie."""
    return storage.seed_from("runs", a.summary.dataset.fingerprint, a.study, b.summary.dataset.fingerprint, b.study)


def _answers(
    a: FinishedRun, b: FinishedRun, common: Common
) -> tuple[NDArray[np.integer[Any]], dict[str, NDArray[np.floating[Any]]]]:
    """Return labels ``(images,)`` and probabilities ``(images, classes)``, classes in the order of the first run."""
    columns = [b.summary.dataset.classes.index(name) for name in a.summary.dataset.classes]
    mine = a.test.probabilities[common.first]
    its = b.test.probabilities[common.second][:, columns]
    return a.test.labels[common.first], {FIRST: mine, SECOND: its}


def common_images(a: FinishedRun, b: FinishedRun) -> Common:
    """Return the test images that two runs of the same classes have in common."""
    mine, its = _keyed(a), _keyed(b)
    both = [key for key in mine if key in its]
    learned_from = _learned_from(a) | _learned_from(b)
    unseen = [key for key in both if key[0] not in learned_from]
    kept = [key for key in unseen if _label(a, mine[key]) == _label(b, its[key])]
    return Common(
        first=np.array([mine[key] for key in kept], np.int64),
        second=np.array([its[key] for key in kept], np.int64),
        whole=len(kept) == len(mine) == len(its),
        learned=len(both) - len(unseen),
        relabelled=len(unseen) - len(kept),
    )


def _keyed(run: FinishedRun) -> dict[tuple[str, int], int]:
    """Return the place of every test image by its content; copies of one content are numbered from 0."""
    contents = {row.path: row.sha256 for row in run.images}
    copies: Counter[str] = Counter()
    places: dict[tuple[str, int], int] = {}
    for place in sorted(range(len(run.test.paths)), key=lambda one: run.test.paths[one]):
        content = contents[run.test.paths[place]]
        places[content, copies[content]] = place
        copies[content] += 1
    return dict(sorted(places.items(), key=lambda item: item[1]))


def _learned_from(run: FinishedRun) -> set[str]:
    """Return the contents of the images that trained or chose the candidates of a run."""
    return {row.sha256 for row in run.images if row.split in ("train", "validation")}


def _label(run: FinishedRun, place: int) -> str:
    return run.summary.dataset.classes[int(run.test.labels[place])]


def _unlike_classes(a: FinishedRun, b: FinishedRun) -> str:
    """Return in which classes two runs differ; nothing where they have the same."""
    mine, its = a.summary.dataset.classes, b.summary.dataset.classes
    ends = [
        f"only {run.name} has {_listed(names)}"
        for run, names in ((a, [one for one in mine if one not in its]), (b, [one for one in its if one not in mine]))
        if names
    ]
    return f"their classes are not the same ({'; '.join(ends)})" if ends else ""


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMED_CLASSES
    return ", ".join(names[:NAMED_CLASSES]) + (f" and {more} more" if more > 0 else "")


def _too_few(common: Common) -> str:
    kept = len(common.first)
    found = "they have no test image in common" if not kept else f"they have only {_count(kept)} in common"
    return f"{found}{_left_out(common)}"


def _in_part(a: FinishedRun, b: FinishedRun, common: Common) -> str:
    """Return on how many of each run's test images a pair was tested."""
    shares = f"of {len(a.test.paths):,} in {a.name} and {len(b.test.paths):,} in {b.name}"
    return f"Tested on the {_count(len(common.first))} of both, {shares}{_left_out(common)}."


def _left_out(common: Common) -> str:
    """Return what was left out of the test images that both have, as the end of a sentence."""
    ends = []
    if common.learned:
        ends.append(f"{_count(common.learned)} of both left out because one of the runs learned from the same picture")
    if common.relabelled:
        ends.append(f"{_count(common.relabelled)} of both left out because the label is another one")
    return "".join(f"; {end}" for end in ends)


def _count(images: int) -> str:
    return f"{images:,} test image{'s' * (images != 1)}"


def _adjusted(pairs: Sequence[Pair]) -> Iterator[Pair]:
    """Yield the pairs with p-values adjusted over all of them, and with what these decide."""
    p_values = significance.holm([1.0 if one.accuracy.p_value is None else one.accuracy.p_value for one in pairs])
    for pair, p_value in zip(pairs, p_values, strict=True):
        decided = p_value < LEVEL and pair.accuracy.difference
        verdict = "undecided" if not decided else "a" if pair.accuracy.difference > 0 else "b"
        yield dataclasses.replace(
            pair,
            accuracy=dataclasses.replace(pair.accuracy, p_adjusted=p_value, verdict=verdict),
            needed=pair.needed if verdict == "undecided" else None,
        )


def sentence(pair: Pair, runs: Sequence[FinishedRun]) -> str:
    """Return in plain words what a test between two runs says."""
    one, other = runs[pair.first].name, runs[pair.second].name
    if pair.accuracy.difference < 0:
        one, other = other, one
    images = f"{pair.images:,} test images"
    if pair.only_first == pair.only_second == 0:
        return f"{one} and {other} were right on exactly the same of {images}, so nothing tells them apart."
    if pair.accuracy.verdict == "undecided":
        return f"{one} and {other} cannot be told apart on {images} ({_difference(pair)}){_more(pair)}."
    return f"{one} was right more often than {other} on {images}, by more than chance explains ({_difference(pair)})."


def _difference(pair: Pair) -> str:
    """Return the difference with its interval, seen from whoever is ahead, and the p-value."""
    row, sign = pair.accuracy, -1 if pair.accuracy.difference < 0 else 1
    text = f"difference {100 * abs(row.difference):.1f} points"
    if row.ci95:
        low, high = sorted(100 * sign * end for end in row.ci95)
        text += f", 95 % interval {low:.1f} to {high:.1f}".replace("-0.0", "0.0").replace("-", "\u2212")
    p_value = row.p_value if row.p_adjusted is None else row.p_adjusted
    return text if p_value is None else f"{text}; p {'below 0.001' if p_value < 0.001 else f'{p_value:.3f}'}"


def _more(pair: Pair) -> str:
    """Return how many more test images would tell the two apart, as the end of a sentence."""
    if pair.needed is None or pair.needed <= pair.images:
        return ""
    more = pair.needed - pair.images
    step = 10 ** max(0, len(str(more)) - 2)
    return f"; about {-(-more // step) * step:,} more would be needed"
