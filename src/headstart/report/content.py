"""What the page says: everything that is counted, sorted or laid out before the templates write it down."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from headstart.data.audit import Audit
from headstart.evaluation import headline
from headstart.evaluation.headline import Figure
from headstart.evaluation.ranking import best_first
from headstart.evaluation.results import CandidateResult, FinalResult, FoldValues
from headstart.evaluation.summary import Summary
from headstart.report.names import Label, labels, learning_rate, network_name
from headstart.runs.folder import DoubtRow, Environment, HistoryRow, PredictionBlock, RunFolder, Timings

PAIRS = 6
CURVES = 12
NEAREST_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
OPENED = "test set opened"
"""What the log calls an opening of the test set."""


@dataclass(frozen=True, slots=True)
class Opening:
    """When the test set was opened, and for whom."""

    time: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure of all classes together: where its value lies, and how it is written."""

    name: str
    title: str
    pointer: str
    kind: str
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """The files of a run that the page is made from.

    ``test`` and ``out_of_fold`` are the best candidate's. ``doubts`` are without what was corrected before this study.
    """

    summary: Summary
    timings: Timings
    environment: Environment
    audit: Audit
    study: str
    history: dict[str, tuple[HistoryRow, ...]]
    test: PredictionBlock
    out_of_fold: tuple[PredictionBlock, ...]
    openings: tuple[Opening, ...]
    doubts: tuple[DoubtRow, ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """A common axis for the strips of the ranking: shares from ``low`` to ``high``."""

    low: float
    high: float

    def place(self, share: float) -> float:
        """Return where a share stands, in percent of the axis' length."""
        return 100 * min(1.0, max(0.0, (share - self.low) / (self.high - self.low)))

    def strip(self, mean: float, ends: tuple[float, float], dots: Iterable[float] = ()) -> Strip:
        """Return a mean, the ends of its bar and the folds' values as places."""
        low, high = ends
        return Strip(self.place(mean), self.place(low), self.place(high), tuple(map(self.place, dots)))


@dataclass(frozen=True, slots=True)
class Strip:
    """A mean with its bar and the folds' dots, as places in percent of the scale."""

    mean: float
    low: float
    high: float
    dots: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate in the ranking; ``index`` is its place in the summary, ``rank`` counts from 1 (None: failed).

    ``accuracy`` is that of images held back as it is shown: less what choosing the best of several adds.
    """

    index: int
    rank: int | None
    result: CandidateResult
    label: Label
    title: str
    rate: float | None
    accuracy: FoldValues | None
    strip: Strip | None
    mean_best_epoch: float | None


@dataclass(frozen=True, slots=True)
class Tested:
    """A final training in the table of the test set.

    ``figure`` is its accuracy on the images that count, which stands at the pointers ``accuracy`` and ``ci95``;
    ``bar`` is its interval on the scale. None where every test image is also a training image.
    """

    index: int
    result: FinalResult
    label: Label
    figure: Figure | None
    accuracy: str
    ci95: str
    bar: Strip | None


@dataclass(frozen=True, slots=True)
class Pair:
    """Images of one class that were taken for another: ``count`` of ``support``."""

    true: str
    predicted: str
    count: int
    support: int

    @property
    def share(self) -> float:
        """Share of the true class' images."""
        return self.count / self.support


MEASURES = (
    Measure("accuracy", "Accuracy", "summary/test/accuracy", "percent"),
    Measure("balanced_accuracy", "Balanced accuracy", "summary/test/balanced_accuracy", "percent"),
    Measure("f1", "F1, mean of the classes", "summary/test/averages/macro/f1", "ratio"),
    Measure("auc", "AUC, mean of the classes", "summary/test/averages/macro/auc", "ratio"),
    Measure("loss", "Loss, cross-entropy in nats", "summary/test/loss", "decimals"),
)


def gather(folder: RunFolder) -> Findings:
    """Read everything the page needs.

    Raises:
        RunError: the study is not finished, or a file is missing or damaged.
    """
    summary = folder.summary()
    history: dict[str, list[HistoryRow]] = defaultdict(list)
    for row in folder.history():
        history[row.candidate].append(row)
    blocks = list(folder.predictions(candidates=[summary.best], parts=["test", "out_of_fold"]))
    return Findings(
        summary=summary,
        timings=folder.timings(),
        environment=folder.environment(),
        audit=folder.audit(),
        study=folder.study(),
        history={name: tuple(rows) for name, rows in history.items()},
        test=next(block for block in blocks if block.part == "test"),
        out_of_fold=tuple(block for block in blocks if block.part == "out_of_fold"),
        openings=_openings(folder, summary),
        doubts=tuple(row for row in folder.doubts() if row.confidence is not None),
    )


def _openings(folder: RunFolder, summary: Summary) -> tuple[Opening, ...]:
    """Return the openings that the log holds; going on after a kill is no second one."""
    called = labels(summary.candidates)
    found: dict[int, Opening] = {}
    for entry in folder.log_entries():
        if entry.event == OPENED:
            names = (str(name) for name in entry.details.get("finalists", ()))
            said = tuple(called[name].text if name in called else name for name in names)
            found.setdefault(
                int(entry.details.get("opening", 0)), Opening(f"{entry.time[:16].replace('T', ' ')} UTC", said)
            )
    return tuple(found.values()) if len(found) == summary.protocol.test_openings else ()


def measures(summary: Summary) -> tuple[Measure, ...]:
    """Return the measures of all classes together, then the shares of images whose class is among the first k."""
    ranks = sorted(summary.test.top_k, key=int)
    tops = (Measure(f"top_{k}", f"Top {k}", f"summary/test/top_k/{k}", "percent", _top(int(k))) for k in ranks)
    return (*MEASURES, *tops)


def _top(k: int) -> str:
    return f"the class is among the {k} most probable ones"


def equivalence(findings: Findings) -> float | None:
    """Return the difference in accuracy that does not matter to the user, None where the recipe does not say it."""
    margin = tomllib.loads(findings.study).get("protocol", {}).get("equivalence")
    return None if margin is None else float(margin)


def ranking(summary: Summary) -> tuple[Ranked, ...]:
    """Return all candidates: the best of the summary, then the others by the rule of selection, failed ones last."""
    scale = ranking_scale(summary)
    done = sorted(best_first(summary.candidates, summary.protocol.measure), key=lambda one: one.id != summary.best)
    order = [*done, *(one for one in summary.candidates if one.cv is None)]
    place = {one.id: index for index, one in enumerate(summary.candidates)}
    called = labels(summary.candidates)
    return tuple(
        _ranked(one, called[one.id], (place[one.id], rank if one.cv else None), shown_accuracy(one, summary), scale)
        for rank, one in enumerate(order, 1)
    )


def shown_accuracy(result: CandidateResult, summary: Summary) -> FoldValues | None:
    """Return a candidate's accuracy on images held back as it is shown; None of a failed one."""
    return headline.lowered_values(result.cv.accuracy, headline.shift(summary)) if result.cv else None


def _ranked(
    result: CandidateResult, label: Label, place: tuple[int, int | None], shown: FoldValues | None, scale: Scale
) -> Ranked:
    index, rank = place
    return Ranked(
        index=index,
        rank=rank,
        result=result,
        label=label,
        title=network_name(result),
        rate=learning_rate(result),
        accuracy=shown,
        strip=_strip(shown, scale) if shown else None,
        mean_best_epoch=float(np.mean(result.cv.best_epochs)) if result.cv else None,
    )


def ranking_scale(summary: Summary) -> Scale:
    """Return an axis with round ends that holds every fold of every candidate."""
    values = [one for one in (shown_accuracy(result, summary) for result in summary.candidates) if one]
    low = min(min(_reach(value)[0], *value.folds) for value in values)
    high = max(max(_reach(value)[1], *value.folds) for value in values)
    return _round_scale(low, high)


def tests_scale(summary: Summary) -> Scale:
    """Return an axis with round ends that holds the test intervals of all finalists."""
    figures = [_figure(final, summary) for final in summary.finals]
    intervals = [one.ci95 for one in figures if one and one.ci95] or [(0.0, 1.0)]
    return _round_scale(min(low for low, _ in intervals), max(high for _, high in intervals))


def _figure(final: FinalResult, summary: Summary) -> Figure | None:
    return headline.figure_of(final.test, headline.clean_of(summary, final.candidate))


def _round_scale(low: float, high: float) -> Scale:
    step = next((step for step in NEAREST_STEPS if high - low <= 4 * step), 1.0)
    bottom = max(0.0, np.floor(low / step + 1e-9) * step)
    top = min(1.0, np.ceil(high / step - 1e-9) * step)
    return Scale(float(bottom), float(top)) if top > bottom else Scale(max(0.0, float(top) - step), float(top) or step)


def _reach(values: FoldValues) -> tuple[float, float]:
    """Return the ends of a mean's bar: its interval, else one standard deviation to both sides."""
    if values.ci95:
        return values.ci95
    spread = values.std or 0.0
    return max(0.0, values.mean - spread), min(1.0, values.mean + spread)


def _strip(values: FoldValues, scale: Scale) -> Strip:
    return scale.strip(values.mean, _reach(values), values.folds)


def tested(summary: Summary) -> tuple[Tested, ...]:
    """Return the final trainings with their test intervals on a common scale, the best candidate first."""
    scale = tests_scale(summary)
    called = labels(summary.candidates)
    rows = []
    for index, final in enumerate(summary.finals):
        figure = _figure(final, summary)
        where = figure_pointers(summary, final.candidate, f"summary/finals/{index}/test")
        rows.append(Tested(index, final, called[final.candidate], figure, *where, bar_of(figure, scale)))
    return tuple(sorted(rows, key=lambda row: row.result.candidate != summary.best))


def figure_pointers(summary: Summary, candidate: str, test: str, above: str = "summary") -> tuple[str, str]:
    """Return where a finalist's accuracy on the images that count stands, and its interval.

    Args:
        test: where its evaluation on all test images stands.
        above: where the summary stands.
    """
    place = next((place for place, one in enumerate(summary.clean) if one.candidate == candidate), None)
    if place is None:
        return f"{test}/accuracy", f"{test}/intervals/accuracy"
    return f"{above}/clean/{place}/accuracy", f"{above}/clean/{place}/ci95"


def bar_of(figure: Figure | None, scale: Scale) -> Strip | None:
    """Return the bar of a test accuracy; None where there is none, or no interval."""
    return scale.strip(figure.accuracy, figure.ci95) if figure and figure.ci95 else None


def confused_pairs(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> tuple[Pair, ...]:
    """Return the commonest mistakes of a confusion matrix, the true classes its rows."""
    pairs = [
        Pair(classes[true], classes[said], count, sum(row))
        for true, row in enumerate(counts)
        for said, count in enumerate(row)
        if true != said and count
    ]
    return tuple(sorted(pairs, key=lambda pair: (-pair.count, -pair.share))[:PAIRS])


def commonest_share(summary: Summary) -> float:
    """Return the accuracy of always naming the commonest class, on the test images that count."""
    if summary.baseline:
        return summary.baseline.right / summary.baseline.images
    support = [row.support for row in summary.test.per_class]
    return max(support) / sum(support)


def curve_order(ranked: Sequence[Ranked], summary: Summary) -> tuple[Ranked, ...]:
    """Return whose learning curves are shown: the finalists, then the next best up to a limit."""
    finalists = {final.candidate for final in summary.finals}
    done = [row for row in ranked if row.rank is not None]
    first = [row for row in done if row.result.id in finalists]
    return tuple([*first, *(row for row in done if row.result.id not in finalists)][: max(CURVES, len(first))])
