"""How sure it is that the best is better: comparisons and ranks, laid out as rows of tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from headstart.evaluation.results import Comparison
from headstart.evaluation.summary import Summary
from headstart.report.content import NEAREST_STEPS, Scale, Strip
from headstart.report.names import labels

MAIN = {"test": ("McNemar",), "folds": ("corrected resampled t-test",)}
FURTHER = {"balanced_accuracy": "Balanced accuracy", "f1": "F1, macro", "auc": "AUC, macro", "loss": "Loss"}
MEASURES = {"accuracy": "Accuracy", **FURTHER}
POINTS = ("accuracy", "balanced_accuracy")
"""Measures whose differences are read in percentage points."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One comparison; ``index`` is its place in the summary, ``kind`` how its numbers are written."""

    index: int
    comparison: Comparison
    kind: str
    title: str
    pair: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Rival:
    """A candidate beside the best one: the difference in accuracy with its bar, and those of further measures."""

    name: str
    main: Difference
    bar: Strip | None
    verdict: str
    further: tuple[Difference | None, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """The rivals on the test images or on the folds; ``measures`` are the titles of the further ones.

    ``zero`` is the place of no difference in percent of the axis; ``posterior`` tells whether any rival has one.
    """

    on: str
    methods: tuple[str, ...]
    rivals: tuple[Rival, ...]
    measures: tuple[str, ...]
    scale: Scale
    zero: float
    posterior: bool


@dataclass(frozen=True, slots=True)
class MeanRank:
    """A candidate's mean rank; ``apart`` tells whether it is further from the first than chance explains."""

    index: int
    name: str
    bar: Strip
    apart: bool


@dataclass(frozen=True, slots=True)
class Sure:
    """Everything on how sure the choice is; ``main`` is how many of ``all`` stand in the two tables."""

    test: Table | None
    folds: Table | None
    all: tuple[Difference, ...]
    main: int
    ranks: tuple[MeanRank, ...]


def gather(summary: Summary) -> Sure:
    """Return the comparisons of a summary, laid out."""
    test, folds = table(summary, "test"), table(summary, "folds")
    main = sum(len(one.rivals) for one in (test, folds) if one)
    return Sure(test, folds, differences(summary), main, mean_ranks(summary))


def names(summary: Summary) -> Mapping[str, str]:
    """Return what a reader calls every candidate and combination, by id."""
    called = {name: label.text for name, label in labels(summary.candidates).items()}
    return {**{one.id: one.words(called) for one in summary.combinations}, **called}


def differences(summary: Summary) -> tuple[Difference, ...]:
    """Return every comparison of the summary in its order."""
    called = names(summary)
    return tuple(_difference(place, one, called) for place, one in enumerate(summary.comparison))


def _difference(index: int, comparison: Comparison, called: Mapping[str, str]) -> Difference:
    a, b = called.get(comparison.a, comparison.a), called.get(comparison.b, comparison.b)
    return Difference(
        index=index,
        comparison=comparison,
        kind="signed_points" if comparison.measure in POINTS else "signed_decimals",
        title=MEASURES.get(comparison.measure, comparison.measure.replace("_", " ")),
        pair=f"{a} minus {b}",
        verdict=_in_words(comparison, "the first is better", "the second is better"),
    )


def _in_words(comparison: Comparison, a: str, b: str) -> str:
    words = {"a": a, "b": b, "equal": "equal in practice"}
    return words.get(comparison.verdict, "cannot be told apart")


def table(summary: Summary, on: str) -> Table | None:
    """Return the best candidate against the others on the ``test`` images or on the ``folds``; None without any."""
    found = [one for one in differences(summary) if one.comparison.on == on and one.comparison.a == summary.best]
    main = [one for one in found if one.comparison.method.startswith(MAIN[on])]
    if not main:
        return None
    measures = [name for name in FURTHER if any(one.comparison.measure == name for one in found)]
    scale = _difference_scale([one.comparison for one in main])
    called = names(summary)
    rivals = [_rival(one, found, measures, scale, called) for one in main]
    return Table(
        on=on,
        methods=tuple(dict.fromkeys(one.comparison.method for one in main)),
        rivals=tuple(rivals),
        measures=tuple(FURTHER[name] for name in measures),
        scale=scale,
        zero=scale.place(0.0),
        posterior=any(one.comparison.posterior for one in main),
    )


def _rival(
    main: Difference,
    found: Sequence[Difference],
    measures: Sequence[str],
    scale: Scale,
    called: Mapping[str, str],
) -> Rival:
    other = main.comparison.b
    mine = {one.comparison.measure: one for one in found if one.comparison.b == other}
    further = tuple(mine.get(measure) for measure in measures)
    verdict = _in_words(main.comparison, "the best is better", "this one is better")
    return Rival(called.get(other, other), main, _bar(main.comparison, scale), verdict, further)


def _bar(comparison: Comparison, scale: Scale) -> Strip | None:
    if comparison.ci95 is None:
        return None
    low, high = comparison.ci95
    return Strip(scale.place(comparison.difference), scale.place(low), scale.place(high), ())


def _difference_scale(comparisons: Sequence[Comparison]) -> Scale:
    """Return an axis with round ends that holds no difference and every interval."""
    reach = [0.0, *_ends(comparisons)]
    low, high = min(reach), max(reach)
    step = next((step for step in NEAREST_STEPS if high - low <= 4 * step), 1.0)
    bottom, top = float(np.floor(low / step + 1e-9) * step), float(np.ceil(high / step - 1e-9) * step)
    return Scale(min(bottom, -step), max(top, step))


def _ends(comparisons: Sequence[Comparison]) -> Iterator[float]:
    for one in comparisons:
        yield one.difference
        yield from one.ci95 or ()


def mean_ranks(summary: Summary) -> tuple[MeanRank, ...]:
    """Return the candidates of Friedman's test, lowest mean rank first; the bar is the critical difference."""
    found = summary.friedman
    if found is None:
        return ()
    called, scale = names(summary), Scale(1.0, float(len(found.candidates)))
    order = sorted(range(len(found.candidates)), key=lambda place: found.mean_ranks[place])
    first = found.mean_ranks[order[0]]
    high = scale.place(first + found.critical_difference)
    return tuple(
        MeanRank(
            index=place,
            name=called.get(found.candidates[place], found.candidates[place]),
            bar=Strip(scale.place(found.mean_ranks[place]), scale.place(first), high, ()),
            apart=found.mean_ranks[place] - first >= found.critical_difference,
        )
        for place in order
    )
