"""What the command line shows while it works: progress bars on a terminal, plain lines elsewhere. Always on stderr."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.errors import visible
from headstart.progress import Progress

if TYPE_CHECKING:
    from headstart.api import Result
    from headstart.classifier.assessment import AnswerQuality, Assessment
    from headstart.classifier.prediction import Prediction
    from headstart.data.audit import Audit, Sizes
    from headstart.evaluation.evidence import CalibrationScores
    from headstart.evaluation.headline import Figure
    from headstart.evaluation.results import CandidateResult, Evaluation, FinalResult, Published
    from headstart.evaluation.summary import Summary
    from headstart.runs.folder import Timings
    from headstart.runs.history import Headline, RunRow

# How many of each kind of finding an audit prints.
SHOWN_FINDINGS = 12

# How many classes the last line of a prediction counts; a single one more is named too.
SUMMED_UP = 8

# The story of a study is told in about twenty lines of eighty columns: what does not fit is in the report.
MATRIX_CLASSES = 8
MATRIX_AND_RANKING = 14
RANKED = 8
FAILED = 2
WARNINGS = 3
PUBLISHED = 12
NARROWEST, WIDEST_TEXT, PIPED = 60, 100, 240
SHORTEST_NAME, LONGEST_CLASS = 12, 12
LONGEST_REASON = 120


def make_progress(*, quiet: bool) -> Progress:
    """Return the listener that suits stderr: silent, bars with the time left, or one line per step."""
    if quiet:
        return Progress()
    return BarProgress() if sys.stderr.isatty() else LineProgress()


class LineProgress(Progress):
    """One line when a step is done: for log files and pipes."""

    def say(self, text: str) -> None:
        """Print one line."""
        print(text, file=sys.stderr, flush=True)

    @contextmanager
    def track(self, name: str, *, total: int, unit: str) -> Iterator[Callable[[int], None]]:
        """Print the step with its total and time once it has ended."""
        start = time.perf_counter()
        yield lambda done: None
        what = unit.removesuffix("s") if total == 1 else unit
        self.say(f"{name}: {total:,} {what} in {time.perf_counter() - start:.1f} s")


class BarProgress(Progress):
    """A bar with the time left for every step, and plain lines between them."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)

    def say(self, text: str) -> None:
        """Print one line above the bars."""
        self._console.print(text, markup=False)

    @contextmanager
    def track(self, name: str, *, total: int, unit: str) -> Iterator[Callable[[int], None]]:
        """Draw a bar while the step lasts."""
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        columns = (
            TextColumn("{task.description:<24}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeRemainingColumn(elapsed_when_finished=True),
        )
        with Bars(*columns, console=self._console) as bars:
            task = bars.add_task(name, total=total)
            yield lambda done: bars.advance(task, done)


def print_table(headings: list[str], rows: list[list[str]]) -> None:
    """Print a plain table on stdout; columns of numbers are set to the right."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column, heading in enumerate(headings):
        numeric = bool(rows) and all(_is_number(row[column]) for row in rows)
        table.add_column(visible(heading), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(visible, row))
    width = None if sys.stdout.isatty() else 240
    Console(width=width, highlight=False, markup=False).print(table)


Tracking = AbstractContextManager[Callable[[int], None]]


def prediction_lines(predictions: Iterable[Prediction], widths: Sequence[int], *, top: int) -> Iterator[str]:
    """Yield a table of predictions line by line, as they come: path, answer, and the ``top`` classes or the error.

    Beside an unknown image stands what that means, as on the page of ``serve``.
    """
    from rich.cells import cell_len

    def line(*names: str) -> str:
        texts = [visible(name) for name in names]
        padded = [text + " " * (width - cell_len(text)) for text, width in zip(texts, (*widths, 0), strict=True)]
        return "  ".join(padded).rstrip() + "\n"

    yield line("image", "answer", "classes")
    for one in predictions:
        classes = ", ".join(f"{each.class_} {each.probability:.1%}" for each in one.top(top))
        yield line(one.path, one.answer or "", one.error or f"{_why_unknown(one)}{classes}")


def _why_unknown(one: Prediction) -> str:
    """Return what stands before the classes of an image that was answered with none of them; else nothing."""
    if one.answer in {each.class_ for each in one.ranked}:
        return ""
    if one.unknown_score is None:
        return "not sure enough of any class; would fit best: "
    return "unlike the pictures it learned from; would fit best: "


def answers_in_short(answers: Mapping[str, int], classes: Sequence[str], *, unread: int) -> str:
    """Return ``43 images: bee (37), ant (1), unknown (3), unreadable (2)``: the most frequent classes, then the others.

    Args:
        answers: how often each was given.
        unread: images without an answer.
    """
    counts = sorted(((name, answers[name]) for name in classes if answers.get(name)), key=lambda one: -one[1])
    most = SUMMED_UP if len(counts) > SUMMED_UP + 1 else len(counts)
    shown, rest = counts[:most], counts[most:]
    parts = [f"{name} ({count:,})" for name, count in shown]
    if rest:
        parts.append(f"{len(rest):,} other classes ({sum(count for _, count in rest):,})")
    parts += [f"{name} ({count:,})" for name, count in answers.items() if name not in classes]
    if unread:
        parts.append(f"unreadable ({unread:,})")
    return visible(f"{sum(answers.values()) + unread:,} images: {', '.join(parts)}.")


def widths(files: Sequence[Path], answers: Sequence[str]) -> tuple[int, int]:
    """Return how many columns of the screen paths and answers take, within reason."""
    from rich.cells import cell_len

    longest = [max((cell_len(visible(str(one))) for one in texts), default=30) for texts in (files, answers)]
    return min(longest[0], 120), min(max(longest[1], len("answer")), 60)


def print_assessment(found: Assessment) -> None:
    """Print how a classifier does on labelled images: headline, classes, confusion matrix, answers, set-aside files."""
    for note in found.notes:
        print(visible(note))
    shown = found.without_learned or found
    if shown.test and shown.answers and shown.calibration:
        print(f"{_accuracy_and_learned(found, shown.test, shown.calibration)}\n")
        rows = [
            [row.class_, f"{row.support:,}", *map(_share, (row.precision, row.recall, row.f1))]
            for row in shown.test.per_class
        ]
        print_table(["class", "images", "precision", "recall", "F1"], rows)
        print()
        _print_counts(shown.test.confusion_matrix, found.classes, MATRIX_CLASSES)
        for sentence in _answers_in_words(shown.answers):
            print(visible(sentence))
    if found.unknown:
        refused = found.unknown.refused
        print(f"Of {refused.images:,} images of other classes {refused.count:,} were answered unknown.")
    if found.left_out:
        others = ", ".join(f"{name} ({images:,} images)" for name, images in found.left_out.items())
        print(visible(f"Left out: {others}."))
    if found.set_aside:
        lines = [visible(f"  {one.path}: {one.reason}") for one in found.set_aside[:SHOWN_FINDINGS]]
        more = len(found.set_aside) - len(lines)
        print("\n".join(["Set aside:", *lines, *([f"  and {more:,} more (--json lists all)"] if more else [])]))


def _accuracy_and_learned(found: Assessment, test: Evaluation, calibration: CalibrationScores) -> str:
    """Return the headline, and how many of the images were learned from: what holds for new images comes first."""
    learned = found.learned.images if found.learned else 0
    others = found.images - learned
    new = f"{others:,} new" if learned and others else f"{found.images:,}"
    low, high = test.intervals["accuracy"]
    headline = (
        f"{test.accuracy:.1%} of {new} images right (95 % interval {low:.1%} to {high:.1%}); "
        f"loss {test.loss:.3f}, calibration error {calibration.error:.1%}."
    )
    if not found.learned:
        return headline
    if not learned:
        return f"{headline}\nNone of these files was learned from."
    if not others or not found.test:
        return f"All {found.images:,} images were learned from: this says nothing about new images.\n{headline}"
    return (
        f"{headline}\n{learned:,} of the {found.images:,} images were learned from and are left out here; with them it "
        f"is {found.test.accuracy:.1%}, which says nothing about new images."
    )


def _answers_in_words(answers: AnswerQuality) -> Iterator[str]:
    right, refused, sure = answers.right, answers.refused, answers.right_of_answered
    if refused.count:
        others = f"of the others {_share(sure.share)} are right"
        yield f"Answers: {_share(right.share)} right, {_share(refused.share)} unknown; {others}."
    elif answers.classes or answers.cost is not None:
        yield f"Answers by thresholds or costs: {_share(right.share)} right."
    if answers.cost is not None:
        yield f"An answer costs {answers.cost:.3f} on average."
    for one in answers.classes:
        found = (
            f"{_share(one.precision.share)} of its answers are right, {_share(one.recall.share)} of its images found"
        )
        yield f"{one.class_}, with a threshold for {one.kind}: {found}."


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _is_number(text: str) -> bool:
    bare = text.lstrip("+-").removesuffix("%").removesuffix("s").removesuffix("MB").replace(",", "").strip()
    return not bare or bare.replace(".", "", 1).isdigit()


def print_audit(found: Audit) -> None:
    """Print what is known of the images: counts, sizes, warnings, and the first dozen of everything found."""
    splits = list(found.counts)
    counts = [[name, *(f"{found.counts[split][name]:,}" for split in splits)] for name in found.counts[splits[0]]]
    totals = [f"{sum(found.counts[split].values()):,}" for split in splits]
    print_table(["class", *splits], [*counts, ["in all", *totals]])
    if found.sizes:
        print(f"\n{_sizes_in_words(found.sizes)}")
        print(f"Colour modes: {', '.join(f'{mode} {count:,}' for mode, count in found.colour_modes.items())}.")
    for warning in found.warnings or ("Nothing was found that should worry you.",):
        print(f"\n- {visible(warning)}")
    if found.sizes and found.sizes.small:
        print(
            f"\n{found.sizes.small:,} images have a side below 64 pixels: near copies were not looked for among them."
        )
    for title, lines in _findings(found):
        if lines:
            more = f"\n  and {len(lines) - SHOWN_FINDINGS:,} more (--json lists all)" * (len(lines) > SHOWN_FINDINGS)
            print(f"\n{title}: {len(lines):,}\n  " + "\n  ".join(map(visible, lines[:SHOWN_FINDINGS])) + more)


def _sizes_in_words(sizes: Sizes) -> str:
    spans = [
        f"{name} {span.smallest:,} to {span.largest:,} (median {span.median:,})"
        for name, span in (("width", sizes.width), ("height", sizes.height))
    ]
    return f"Pixels: {', '.join(spans)}; {sizes.shapes:,} different size{'s' * (sizes.shapes != 1)}."


def _findings(found: Audit) -> list[tuple[str, list[str]]]:
    """Return the title and the lines of everything that an audit can find."""
    alike = [
        ("Equal images", found.exact_duplicates),
        ("The same picture in another size, encoding or finish", found.near_duplicates),
        ("The same picture under more than one label", found.label_conflicts),
    ]
    lists = [
        ("Turned upright by EXIF", found.rotated),
        ("Blank", found.blank),
        ("Very dark", found.dark),
        ("Blurred", found.blurred),
        ("Very long or wide", found.sizes.elongated if found.sizes else ()),
    ]
    return [
        ("Set aside", [f"{one.path}: {one.reason}" for one in found.set_aside]),
        *((title, [" = ".join(group) for group in groups]) for title, groups in alike),
        ("In more than one split", [f"{' and '.join(one.splits)}: {' = '.join(one.paths)}" for one in found.leaks]),
        ("In another format than named", [f"{one.path}: {one.format}" for one in found.wrong_extensions]),
        *((title, list(paths)) for title, paths in lists),
    ]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table that must not wrap.

    ``worth`` says which columns go first where the terminal is narrow: the lowest; None always stays. In a ``name`` the
    middle is left out where even that is too wide.
    """

    heading: str
    cells: Sequence[str]
    worth: int | None = None
    name: bool = False

    @property
    def width(self) -> int:
        """The width of the widest cell."""
        return max(map(len, [self.heading, *self.cells]))


def print_columns(columns: Sequence[Column]) -> None:
    """Print a table whose rows stay on one line each, at the cost of its least worthy columns."""
    shown = _fitting([_legible(column) for column in columns], _width())
    rows = [list(row) for row in zip(*(column.cells for column in shown), strict=True)]
    print_table([column.heading for column in shown], rows)


def _legible(column: Column) -> Column:
    return replace(column, heading=visible(column.heading), cells=[visible(cell) for cell in column.cells])


def _width() -> int:
    """Return how many columns stdout has; of a pipe or a file many."""
    return max(NARROWEST, shutil.get_terminal_size().columns) if sys.stdout.isatty() else PIPED


def _fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """Return the columns that fit, two spaces between them, names shortened where that is needed."""
    kept = [column for column in columns if column.worth is None]
    for column in sorted((one for one in columns if one.worth is not None), key=lambda one: -(one.worth or 0)):
        if _total([*kept, column]) <= width:
            kept.append(column)
    shown = [column for column in columns if column in kept]
    for column in sorted((one for one in shown if one.name), key=lambda one: -one.width):
        limit = max(SHORTEST_NAME, column.width - max(0, _total(shown) - width))
        shown[shown.index(column)] = replace(column, cells=[_shortened(cell, limit) for cell in column.cells])
    return shown


def _total(columns: Sequence[Column]) -> int:
    return sum(column.width + 2 for column in columns)


def _shortened(text: str, limit: int) -> str:
    """Return a text with its middle left out where it is too long: names of candidates differ at both ends."""
    if len(text) <= limit:
        return text
    tail = (limit - 1) // 2
    return f"{text[: limit - 1 - tail]}\u2026{text[-tail:]}"


def print_words(text: str, indent: str = "") -> None:
    """Print sentences; on a terminal lines break between words, and further ones are indented."""
    text = visible(text)
    if sys.stdout.isatty():
        width = min(WIDEST_TEXT, _width())
        text = textwrap.fill(
            text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )  # fmt: skip
    print(text)


def print_result(summary: Summary, timings: Timings | None = None) -> None:
    """Print the story of a study: verdict, what to take, ranking, confusion matrix, published numbers, warnings."""
    print()
    print_words(summary.verdict)
    if summary.recommendation:
        print_words(summary.recommendation)
    print()
    _print_ranking(summary, timings)
    for sentence in _notes(summary):
        print_words(sentence)
    print()
    _print_matrix(summary)
    _print_published(summary.published)
    _print_warnings(summary)


def print_places(result: Result, commands: Sequence[str]) -> None:
    """Print where the files of a study are, whose classifier was kept, and what to type next."""
    summary = result.summary
    print(f"Report:      {result.report}")
    print(f"Classifier:  {result.classifier} (of {_kept(summary)})")
    if summary.label_doubts and summary.label_doubts.doubted:
        print(f"Doubts:      {result.doubts}")
    for command in commands:
        print(f"Next:        {command}")


def _kept(summary: Summary) -> str:
    """Return whose classifier was kept: the recommended one's, in studies of earlier versions the best one's."""
    from headstart.evaluation import headline

    combination = headline.kept_combination(summary)
    if combination is not None:
        return combination.words()
    return summary.recommended if summary.protocol.choose_by else summary.best


def _notes(summary: Summary) -> Iterator[str]:
    """Yield what belongs to the ranking: which test images count, what choosing adds, rates at the border, repeats."""
    from headstart.evaluation import headline
    from headstart.report import folds

    if summary.clean:
        yield f"Test: without the {summary.clean[0].contaminated:,} test images that are also training images."
    scored = headline.scored_in_words(summary)
    if scored or summary.optimism:
        yield f"{summary.optimism.sentence if summary.optimism else ''} {scored}".strip()
    yield from folds.edges(summary)
    yield from (repeated for one in summary.finals if (repeated := headline.repeated_in_words(one, one.candidate)))


def _print_matrix(summary: Summary) -> None:
    """Print the confusion matrix of the best candidate on the test images, where it is small enough."""
    if summary.clean:
        shared = f"the {summary.clean[0].contaminated:,} that are also training images"
        print_words(f"All {summary.clean[0].images:,} test images, with {shared}:")
    most = max(MATRIX_CLASSES, MATRIX_AND_RANKING - len(summary.candidates))
    _print_counts(summary.test.confusion_matrix, summary.dataset.classes, most)


def _print_counts(matrix: Sequence[Sequence[int]], names: Sequence[str], most: int) -> None:
    heading, names = "true \\ predicted", [visible(name) for name in names]
    room = (_width() - len(heading) - 2) // len(names) - 2
    if len(names) > most or room < max(len(str(count)) for row in matrix for count in row):
        print(f"The confusion matrix of {len(names)} classes is in the report.\n")
        return
    limit = min(room, LONGEST_CLASS)
    counts = [Column(_shortened(name, limit), [str(row[place]) for row in matrix]) for place, name in enumerate(names)]
    print_columns([Column(heading, names, name=True), *counts])
    print()


def _print_warnings(summary: Summary) -> None:
    """Print the first few things that may be wrong with the images or flattering in the numbers."""
    sentences = list(_warnings(summary))
    for sentence in sentences[:WARNINGS]:
        print_words(f"- {sentence}", "  ")
    if len(sentences) > WARNINGS:
        print(f"- {len(sentences) - WARNINGS} more in the report.")
    if sentences:
        print()


def _warnings(summary: Summary) -> Iterator[str]:
    """Yield what should be known before the numbers are used, most important first; the report says more."""
    from headstart.evaluation import headline

    if headline.kept_combination(summary) is not None:
        whose = next((one.candidate for one in (summary.unknown, summary.calibration) if one), summary.best)
        yield (
            'The classifier is a combination and never answers "unknown": what is said of unknown images, of '
            f"calibration and of targets is of {whose} alone."
        )
    if summary.operating:
        yield summary.operating.sentence
    if summary.changes:
        yield summary.changes.sentence
    if summary.label_doubts and (summary.label_doubts.doubted or summary.label_doubts.estimated is None):
        yield _first_sentence(summary.label_doubts.sentence)
    if summary.learning_curve:
        yield summary.learning_curve.sentence


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=\.) (?=[A-Z])", text, maxsplit=1)[0]


def _print_published(rows: Sequence[Published]) -> None:
    """Print the published values of all images; those of classes, folds and cells are for the report."""
    if not rows:
        return
    print("Published against here (differences of percentages in points)")
    measured = [row for row in rows if ":" not in row.metric and row.here is not None]
    if measured:
        headings = ["candidate", "images", "metric", "published", "here", "difference"]
        print_table(headings, [_published_row(row) for row in measured[:PUBLISHED]])
    missing = sum(row.here is None for row in rows)
    print(f"{len(rows):,} published numbers stand in the report; {missing:,} of them were not measured here.\n")


def _published_row(row: Published) -> list[str]:
    """Return one line: weights as counts, losses and areas as numbers, all else in percent and percentage points."""
    assert row.here is not None and row.difference is not None
    published, here, difference = row.published, row.here, row.difference
    if row.metric.endswith("parameters"):
        numbers = [f"{published:,.0f}", f"{here:,.0f}", f"{difference:+,.0f}"]
    elif row.metric in ("loss", "auc", "f1", "average_precision"):
        numbers = [f"{published:.4f}", f"{here:.4f}", f"{difference:+.4f}"]
    else:
        numbers = [f"{published:.2%}", f"{here:.2%}", f"{100 * difference:+.2f}"]
    return [row.candidate, row.part, row.metric.replace("_", " "), *numbers]


def _print_ranking(summary: Summary, timings: Timings | None) -> None:
    """Print the best candidates: all finalists, and the next best up to a limit; the others are counted."""
    from headstart.evaluation import headline
    from headstart.evaluation.ranking import best_first

    finals = {final.candidate: final for final in summary.finals}
    done = best_first(summary.candidates, summary.protocol.measure)
    done.sort(key=lambda one: one.id != summary.best)
    shown = _worth_showing(done, finals)
    tested = [_figure(finals.get(one.id), summary) for one in shown]
    judged = "folds" if summary.protocol.kind == "folds" else "hold-out"
    by, measure = headline.shift(summary), summary.protocol.measure.replace("_", " ")
    chosen = [Column(measure, [_chosen(one) for one in shown], worth=5)] if any(map(_chosen, shown)) else []
    print_columns(
        [
            Column("candidate", [one.id for one in shown], name=True),
            Column(f"accuracy ({judged})", [_mean(one, by) for one in shown]),
            *chosen,
            Column("loss", [f"{one.cv.loss.mean:.3f}" if one.cv else "" for one in shown], worth=3),
            Column("test", [_headline(figure) for figure in tested]),
            Column("95 % interval", [_ends(figure) for figure in tested], worth=4),
            Column("ms/image", [_speed(one, timings) for one in shown], worth=2),
            Column("parameters", [f"{one.parameters.total:,}" if one.parameters else "" for one in shown], worth=1),
        ]
    )
    if len(done) > len(shown):
        print(f"and {len(done) - len(shown):,} more, in the report")
    _print_failed([one for one in summary.candidates if not one.cv])


def _worth_showing(done: Sequence[CandidateResult], finals: Collection[str]) -> list[CandidateResult]:
    """Return the first of the ranking and, in their places, the finalists among the others, up to the limit."""
    if len(done) <= RANKED:
        return list(done)
    chosen = [one.id for one in done if one.id in finals][:RANKED]
    chosen += [one.id for one in done if one.id not in finals][: RANKED - len(chosen)]
    return [one for one in done if one.id in chosen]


def _print_failed(failed: Sequence[CandidateResult]) -> None:
    for one in failed[:FAILED]:
        reason = (one.reason or "no reason was recorded").partition("\n")[0]
        what = "was left out" if one.status == "skipped" else "failed"
        print_words(f"{one.id} {what}: {_cut(reason)}")
    if len(failed) > FAILED:
        print(f"and {len(failed) - FAILED:,} more failed or were left out, see the report")


def _cut(reason: str) -> str:
    return reason if len(reason) <= LONGEST_REASON else f"{reason[: LONGEST_REASON - 1]}\u2026"


def _mean(one: CandidateResult, by: float) -> str:
    """Return a mean over folds, lower by so much, in percent with its standard deviation in points."""
    from headstart.evaluation import headline

    assert one.cv is not None, "failed candidates are not ranked"
    accuracy = headline.lowered_values(one.cv.accuracy, by)
    return f"{accuracy.mean:.1%}" + ("" if accuracy.std is None else f" \u00b1 {100 * accuracy.std:.1f}")


def _speed(one: CandidateResult, timings: Timings | None) -> str:
    """Return the milliseconds that one image takes; empty where they were not measured."""
    found = timings.candidates.get(one.id) if timings else None
    return "" if found is None or found.milliseconds_per_image is None else f"{found.milliseconds_per_image:.1f}"


def _chosen(one: CandidateResult) -> str:
    """Return the measure that chooses, where it is neither accuracy nor loss."""
    return f"{one.cv.chosen.mean:.3f}" if one.cv and one.cv.chosen else ""


def _figure(final: FinalResult | None, summary: Summary) -> Figure | None:
    """Return a finalist's accuracy on the test images that count."""
    from headstart.evaluation import headline

    return headline.figure_of(final.test, headline.clean_of(summary, final.candidate)) if final else None


def print_runs(runs: Sequence[RunRow]) -> None:
    """Print runs as a table, one line each, then why any of them is damaged."""
    print_columns(
        [
            Column("run", [run.name for run in runs], name=True),
            Column("finished", [_local_time(run) for run in runs], worth=4),
            Column("images", [_count(run.images) for run in runs], worth=3),
            Column("classes", [_count(run.classes) for run in runs], worth=2),
            Column("candidates", [_count(run.candidates) for run in runs], worth=1),
            Column("best", [run.best or "" for run in runs], name=True),
            Column("held back", [_headline(run.validation) for run in runs], worth=6),
            Column("test", [_headline(run.test) for run in runs]),
            Column("95 % interval", [_ends(run.test) for run in runs], worth=5),
            Column("recommended", ["" if run.recommended == run.best else run.recommended or "" for run in runs], 0),
            Column("state", [run.state for run in runs], worth=7 if all(run.state == "done" for run in runs) else None),
        ]
    )
    for run in runs:
        if run.reason:
            print_words(f"{run.name} is damaged: {run.reason}.")
        if run.contaminated:
            print_words(_shared(run))


def _shared(run: RunRow) -> str:
    """Say which of a run's test images count."""
    if run.test is None:
        return f"{run.name}: all its test images are also training images, so they say nothing about new ones."
    assert run.test_images is not None, "it is known beside how many are shared"
    return (
        f"{run.name}: {run.contaminated:,} of its {run.test_images:,} test images are also training images; its test "
        f"is on the other {run.test_images - run.contaminated:,}."
    )


def _local_time(run: RunRow) -> str:
    """Return when a run finished by the clock of this machine."""
    if run.finished is None or run.state != "done":
        return ""
    try:
        return f"{datetime.fromisoformat(run.finished).astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return run.finished


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _headline(value: Headline | Figure | None) -> str:
    return "" if value is None else f"{value.accuracy:.1%}"


def _ends(value: Headline | Figure | None) -> str:
    return "" if value is None or value.ci95 is None else f"{100 * value.ci95[0]:.1f} to {100 * value.ci95[1]:.1f}"
