"""Several run folders -> one self-contained HTML page that puts them side by side."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart import storage
from headstart.errors import MissingExtraError, ReportError
from headstart.evaluation import headline
from headstart.evaluation.results import Comparison, FoldValues
from headstart.report import differences, downloads, pairs
from headstart.report.content import NEAREST_STEPS, Scale, Strip, bar_of, figure_pointers
from headstart.report.downloads import Download
from headstart.report.finished_run import FinishedRun, read_runs
from headstart.report.page import environment, script
from headstart.report.pairs import Compared, Pair
from headstart.version import __version__

SCRIPTS = ("copy.js",)
PAGE = "comparison.html"

# What the head of every page of headstart holds.
OURS = re.compile("\\A<!doctype html>.*Content-Security-Policy.* \u2013 headstart</title>", re.DOTALL)

MEASURES = {"balanced_accuracy": "Balanced accuracy", "loss": "Loss", "auc": "AUC (macro)"}
POINTS = ("accuracy", "balanced_accuracy")
"""Measures whose differences are read in percentage points."""


@dataclass(frozen=True, slots=True)
class Headline:
    """A run in the table of results: bars of its best candidate's accuracy in validation and on the test images.

    ``values`` is where the numbers of the validation stand, ``less`` where it stands by how much they are shown lower
    (empty: not at all), ``final`` where those of the final training stand, ``accuracy`` and ``ci95`` the test accuracy
    on the images that count. ``shared`` says which test images do not.
    """

    run: FinishedRun
    validation: Strip
    test: Strip | None
    values: str
    less: str
    final: str
    accuracy: str
    ci95: str
    timing: str
    shared: str


@dataclass(frozen=True, slots=True)
class Measured:
    """The difference of one more measure; ``place`` is where it stands among the further ones of its pair."""

    place: int
    comparison: Comparison
    kind: str


@dataclass(frozen=True, slots=True)
class Tested:
    """A pair of runs in the table of tests, with the bar of its difference and its further measures (None: not)."""

    pair: Pair
    first: str
    second: str
    sentence: str
    bar: Strip | None
    further: tuple[Measured | None, ...]


def default_page(folders: Sequence[Path]) -> Path:
    """Return where the page goes by default: beside the runs where they lie in one folder, else the current folder."""
    parents = {folder.resolve().parent for folder in folders}
    return folders[0].parent / PAGE if len(parents) == 1 else Path(PAGE)


def check_place(path: Path) -> None:
    """Refuse to write a page over something that is none of headstart's.

    Raises:
        ReportError: the path is a folder, or a file that headstart did not write.
    """
    if path.is_dir():
        raise ReportError(f"{path} is a folder. Name a file for the page, such as {path / PAGE}.")
    if path.exists():
        with path.open(encoding="utf-8", errors="replace") as stream:
            start = stream.read(5000)
        if not OURS.search(start):
            raise ReportError(f"{path} is there already and is no page of headstart. Choose another name.")


def write_page(folders: Sequence[Path], path: Path) -> Path:
    """Write the page that puts finished runs side by side, and return its path.

    Needs the run folders alone, neither photographs nor cache nor Keras. Equal folders make equal bytes.

    Raises:
        UsageError: one run is given twice.
        RunError: a study is not finished, or a file is missing or damaged.
        ReportError: at ``path`` lies something that headstart did not write.
        MissingExtraError: Jinja2 is not installed.
    """
    check_place(path)
    storage.write_text(path, render(folders))
    return path


def render(folders: Sequence[Path]) -> str:
    """Return the page as HTML text."""
    runs = read_runs(folders)
    compared = pairs.compare_runs(runs)
    documents = {"runs": runs, "pairs": compared.pairs}
    try:
        page: str = environment(documents).get_template("several.html").render(_context(runs, compared))
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "study") from error
    return page


def _context(runs: Sequence[FinishedRun], compared: Compared) -> Mapping[str, Any]:
    tried, best = _settings(runs)
    return {
        "runs": runs,
        "headlines": headlines(runs),
        "scale": common_scale(runs),
        "leaders": leaders(runs),
        "same_images": len({run.summary.dataset.fingerprint for run in runs}) == 1,
        "tested": tested(runs, compared),
        "tests_scale": difference_scale(compared),
        "measures": tuple(MEASURES.values()),
        "apart": [(runs[one.first].name, runs[one.second].name, one.reason) for one in compared.apart],
        "facts": differences.facts(runs),
        "missing": _missing_classes(runs),
        "tried": tried,
        "best": best,
        "downloads": {"results": _results(runs), "tests": _tests(runs, compared), "settings": _all(runs, tried, best)},
        **script(SCRIPTS),
        "version": __version__,
    }


def leaders(runs: Sequence[FinishedRun]) -> tuple[FinishedRun, ...]:
    """Return the runs whose best candidates did best in validation: one, or several that did equally well."""
    highest = max(run.validation for run in runs)
    return tuple(run for run in runs if run.validation == highest)


def headlines(runs: Sequence[FinishedRun]) -> tuple[Headline, ...]:
    """Return every run with its bars on one scale, in the order given."""
    scale = common_scale(runs)
    rows = []
    for place, run in enumerate(runs):
        above, summary = f"runs/{place}/summary", run.summary
        final = f"{above}/finals/{summary.finals.index(run.final)}/"
        accuracy, ci95 = figure_pointers(summary, summary.best, f"{final}test", above)
        clean = headline.clean_of(summary, summary.best)
        rows.append(
            Headline(
                run=run,
                validation=scale.strip(run.held_back.mean, _reach(run.held_back), run.held_back.folds),
                test=bar_of(run.tested, scale),
                values=f"{above}/candidates/{run.best_place}/",
                less=f"{above}/optimism/selection" if headline.shift(summary) else "",
                final=final,
                accuracy=accuracy,
                ci95=ci95,
                timing=f"runs/{place}/timings/",
                shared=headline.shared_in_words(clean) if clean else "",
            )
        )
    return tuple(rows)


def _reach(values: FoldValues) -> tuple[float, float]:
    """Return the ends of a mean's bar: its interval, else one standard deviation to both sides."""
    spread = values.std or 0.0
    return values.ci95 or (max(0.0, values.mean - spread), min(1.0, values.mean + spread))


def common_scale(runs: Sequence[FinishedRun]) -> Scale:
    """Return an axis with round ends that holds every fold and every interval of the runs' best candidates."""
    ends: list[float] = []
    for run in runs:
        ends += [*_reach(run.held_back), *run.held_back.folds, *((run.tested and run.tested.ci95) or ())]
    step = _step(min(ends), max(ends))
    low, high = max(0.0, _down(min(ends), step)), min(1.0, _up(max(ends), step))
    return Scale(low, high) if high > low else Scale(max(0.0, high - step), high or step)


def difference_scale(compared: Compared) -> Scale:
    """Return an axis with round ends that holds no difference and every interval."""
    ends = [0.0]
    for pair in compared.pairs:
        ends += [pair.accuracy.difference, *(pair.accuracy.ci95 or ())]
    step = _step(min(ends), max(ends))
    return Scale(min(_down(min(ends), step), -step), max(_up(max(ends), step), step))


def _step(low: float, high: float) -> float:
    return next((step for step in NEAREST_STEPS if high - low <= 4 * step), 1.0)


def _down(value: float, step: float) -> float:
    return float(np.floor(value / step + 1e-9) * step)


def _up(value: float, step: float) -> float:
    return float(np.ceil(value / step - 1e-9) * step)


def tested(runs: Sequence[FinishedRun], compared: Compared) -> tuple[Tested, ...]:
    """Return the pairs with their bars on one scale and their further measures."""
    scale = difference_scale(compared)
    return tuple(
        Tested(
            pair=pair,
            first=runs[pair.first].name,
            second=runs[pair.second].name,
            sentence=pairs.sentence(pair, runs),
            bar=_bar(pair.accuracy, scale),
            further=tuple(_further(pair)),
        )
        for pair in compared.pairs
    )


def _bar(comparison: Comparison, scale: Scale) -> Strip | None:
    if comparison.ci95 is None:
        return None
    low, high = comparison.ci95
    return Strip(scale.place(comparison.difference), scale.place(low), scale.place(high), ())


def _further(pair: Pair) -> Iterator[Measured | None]:
    places = {one.measure: place for place, one in enumerate(pair.further)}
    for measure in MEASURES:
        if measure not in places:
            yield None
            continue
        kind = "signed_points" if measure in POINTS else "signed_decimals"
        yield Measured(places[measure], pair.further[places[measure]], kind)


def _missing_classes(runs: Sequence[FinishedRun]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the classes that not every run has, each with the names of the runs that have it."""
    having: dict[str, list[str]] = {}
    for run in runs:
        for name in run.summary.dataset.classes:
            having.setdefault(name, []).append(run.name)
    return tuple((name, tuple(names)) for name, names in having.items() if len(names) < len(runs))


SettingRows = tuple[differences.SettingRow, ...]


def _settings(runs: Sequence[FinishedRun]) -> tuple[SettingRows, SettingRows]:
    rows = differences.setting_rows(runs)
    tried, best = (tuple(row for row in rows if row.whose == whose) for whose in (differences.TRIED, differences.BEST))
    return tried, best


def _results(runs: Sequence[FinishedRun]) -> Download:
    columns = ["run", "best", "validation_accuracy", "validation_std", "lowered_by", "test_images_that_count"]
    columns += ["test_accuracy", "low", "high", "test_images"]
    columns += ["loss", "balanced_accuracy", "f1", "parameters", "size_bytes", "milliseconds_per_image", "seconds"]
    return downloads.table("runs.csv", columns, [_result(run) for run in runs])


def _result(run: FinishedRun) -> list[object]:
    test, values, best, figure = run.final.test, run.held_back, run.best, run.tested
    counted = [figure.images, figure.accuracy, *(figure.ci95 or (None, None))] if figure else [0, None, None, None]
    of_test = [headline.shift(run.summary), *counted, len(run.test.paths), test.loss, test.balanced_accuracy]
    speed = run.speed.milliseconds_per_image if run.speed else None
    size = [best.parameters.total if best.parameters else None, best.size_bytes, speed, run.timings.total_seconds]
    return [run.name, best.id, values.mean, values.std, *of_test, test.averages.macro.f1, *size]


def _tests(runs: Sequence[FinishedRun], compared: Compared) -> Download:
    columns = ["first", "second", "images", "only_first_right", "only_second_right", "method", "measure"]
    columns += ["difference", "low", "high", "p_value", "p_adjusted", "verdict"]
    rows = []
    for pair in compared.pairs:
        names = [runs[pair.first].name, runs[pair.second].name, pair.images, pair.only_first, pair.only_second]
        for one in (pair.accuracy, *pair.further):
            ends = one.ci95 or (None, None)
            adjusted = one.p_adjusted if one is pair.accuracy else None
            verdict = one.verdict if one is pair.accuracy else ""
            rows.append([*names, one.method, one.measure, one.difference, *ends, one.p_value, adjusted, verdict])
    return downloads.table("tests.csv", columns, rows)


def _all(runs: Sequence[FinishedRun], tried: SettingRows, best: SettingRows) -> Download:
    rows = [[row.whose, row.key, *row.texts] for row in (*tried, *best)]
    return downloads.table("settings.csv", ["of", "setting", *(run.name for run in runs)], rows)
