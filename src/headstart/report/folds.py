"""Every candidate fold by fold, and at every learning rate."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.errors import RunError
from headstart.evaluation.results import FoldValues
from headstart.evaluation.summary import Summary
from headstart.report import content, downloads
from headstart.report.content import Findings, Ranked
from headstart.report.downloads import Download
from headstart.report.names import series_names
from headstart.runs import folder as run_files
from headstart.runs.folder import ResultRow, RunFolder

TABLES = 12
"""So many candidates have their folds on the page; the finalists always do."""

SERIES = 40
"""So many networks have their learning rates on the page; those of finalists come first."""

OPEN_SERIES = 8
"""Of more than this and half as many again, the others are folded away; finalists' stand open."""

CARRIED = 10_000
"""So many rows the page carries as CSV; of more, those of the tables that it shows."""


EDGES = {
    "largest": "The best rate is the largest tried; a larger one may do better.",
    "smallest": "The best rate is the smallest tried; a smaller one may do better.",
}
"""What is said where the best rate lies at the border of those that were tried."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One fold of one candidate; ``index`` is its row in the table of results."""

    index: int
    row: ResultRow


@dataclass(frozen=True, slots=True)
class Folds:
    """One candidate: its folds in their order, and whether it is a finalist."""

    ranked: Ranked
    turns: tuple[Turn, ...]
    finalist: bool

    @property
    def mean_epochs(self) -> float | None:
        """How many epochs the folds trained on average."""
        epochs = [one.row.epochs for one in self.turns if one.row.epochs is not None]
        return float(np.mean(epochs)) if epochs else None


@dataclass(frozen=True, slots=True)
class Rate:
    """One learning rate of a series: ``final`` is its place among the finalists, None where it is none."""

    ranked: Ranked
    best: bool
    final: int | None


@dataclass(frozen=True, slots=True)
class Series:
    """Candidates that differ by their learning rate alone, smallest rate first; ``note`` is said of the best one."""

    name: str
    rates: tuple[Rate, ...]
    note: str
    finalist: bool


@dataclass(frozen=True, slots=True)
class FoldTables:
    """Everything on the folds and the learning rates.

    ``tables`` are of the finalists, then of the next best; ``left_out`` counts the candidates after those. ``series``
    are empty where each network was tried with one learning rate; ``open_series`` of them stand open, ``more_series``
    counts those that are not shown.
    """

    tables: tuple[Folds, ...]
    left_out: int
    download: Download
    series: tuple[Series, ...]
    open_series: int
    more_series: int


def gather(folder: RunFolder, findings: Findings) -> FoldTables:
    """Return the tables of the folds and learning rates.

    Raises:
        RunError: results.csv is damaged.
    """
    ranked, results = content.ranking(findings.summary), folder.results()
    if not results:
        raise RunError(
            f"{folder.path / run_files.RESULTS} is damaged: it has no rows. Run the study again with --fresh."
        )
    turns: dict[str, list[Turn]] = defaultdict(list)
    for index, row in enumerate(results):
        turns[row.candidate].append(Turn(index, row))
    finalists = {final.candidate for final in findings.summary.finals}
    done = sorted((row for row in ranked if row.rank), key=lambda row: row.result.id not in finalists)
    shown = done[: max(TABLES, len(finalists))]
    tables = tuple(Folds(row, tuple(turns[row.result.id]), row.result.id in finalists) for row in shown)
    found = all_series(findings.summary, ranked)
    return FoldTables(
        tables=tables,
        left_out=len(done) - len(shown),
        download=_download(results, tables),
        series=found[:SERIES],
        open_series=_open_series(found),
        more_series=len(found[SERIES:]),
    )


def _open_series(series: Sequence[Series]) -> int:
    few = len(series) <= OPEN_SERIES * 3 // 2
    return len(series) if few else max(OPEN_SERIES, sum(one.finalist for one in series))


def _download(results: Sequence[ResultRow], tables: Sequence[Folds]) -> Download:
    """Return all results, or of very many those that are shown."""
    few = len(results) <= CARRIED
    rows = results if few else [one.row for table in tables for one in table.turns]
    return downloads.rows_of(run_files.RESULTS, rows)


def all_series(summary: Summary, ranked: Sequence[Ranked]) -> tuple[Series, ...]:
    """Return what was tried with more than one learning rate, finalists' first; a place in the ranking decides."""
    names = series_names([row.result for row in ranked])
    together: dict[str, list[Ranked]] = defaultdict(list)
    for row in ranked:
        if row.rate is not None:
            together[names[row.result.id]].append(row)
    found = [_series(name, rows, summary) for name, rows in together.items() if len({row.rate for row in rows}) > 1]
    return tuple(sorted(found, key=lambda one: not one.finalist))


def edges(summary: Summary) -> tuple[str, ...]:
    """Return what is said of finalists whose rate lies at the border of those that were tried, each note once."""
    whose: dict[str, list[str]] = defaultdict(list)
    for one in all_series(summary, content.ranking(summary)):
        if one.finalist and one.note in EDGES.values():
            whose[one.note].append(one.name)
    return tuple(f"{', '.join(names)}: {note}" for note, names in whose.items())


def _series(name: str, rows: Sequence[Ranked], summary: Summary) -> Series:
    finals = {final.candidate: place for place, final in enumerate(summary.finals)}
    done = [row for row in rows if row.rank]
    best = min(done, key=lambda row: row.rank or 0, default=None)
    ordered = sorted(rows, key=lambda row: row.rate or 0.0)
    rates = tuple(Rate(row, row is best, finals.get(row.result.id)) for row in ordered)
    finalist = any(one.final is not None for one in rates)
    return Series(name, rates, _note(best, ordered, summary.protocol.measure), finalist)


def _note(best: Ranked | None, rows: Sequence[Ranked], measure: str) -> str:
    """Say where the best rate stands at the border of those that were tried, failed ones too; it may lie beyond."""
    done = [row for row in rows if row.rank]
    tried = sorted({row.rate for row in rows if row.rate is not None})
    if best is None or len({row.rate for row in done}) < 2:
        return ""
    if len({_values(row, measure).mean for row in done}) == 1:
        return "All rates tried do equally well." if len(done) == len(rows) else ""
    if best.rate not in (tried[0], tried[-1]):
        return ""
    return EDGES["largest" if best.rate == tried[-1] else "smallest"]


def _values(row: Ranked, measure: str) -> FoldValues:
    cv = row.result.cv
    assert cv is not None, "a candidate with a rank has finished its folds"
    return cv.loss if measure == "loss" else cv.chosen or cv.accuracy
