"""What the command line shows while it works: progress bars on a terminal, plain lines elsewhere. Always on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.progress import Progress

if TYPE_CHECKING:
    from headstart.classifier.prediction import Prediction
    from headstart.data.audit import Audit, Sizes
    from headstart.evaluation.results import CandidateResult, Published
    from headstart.evaluation.summary import Summary

# How many of each kind of finding an audit prints.
SHOWN_FINDINGS = 12

# Beyond so many classes the confusion matrix is for the report, not for the terminal.
MATRIX_CLASSES = 20


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
        self.say(f"{name}: {total:,} {unit} in {time.perf_counter() - start:.1f} s")


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
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else 240
    Console(width=width, highlight=False, markup=False).print(table)


Tracking = AbstractContextManager[Callable[[int], None]]


def prediction_lines(predictions: Iterable[Prediction], widths: Sequence[int], *, top: int) -> Iterator[str]:
    """Yield a table of predictions line by line, as they come: path, answer, and the ``top`` classes or the error."""
    from rich.cells import cell_len

    from headstart.classifier.tables import printable

    def line(*texts: str) -> str:
        padded = [text + " " * (width - cell_len(text)) for text, width in zip(texts, (*widths, 0), strict=True)]
        return "  ".join(padded).rstrip() + "\n"

    yield line("image", "answer", "classes")
    for one in predictions:
        classes = ", ".join(f"{each.class_} {each.probability:.1%}" for each in one.top(top))
        yield line(printable(one.path), one.answer or "", one.error or classes)


def widths(files: Sequence[Path], answers: Sequence[str]) -> tuple[int, int]:
    """Return how many columns of the screen paths and answers take, within reason."""
    from rich.cells import cell_len

    longest = [max((cell_len(str(one)) for one in texts), default=30) for texts in (files, answers)]
    return min(longest[0], 120), min(max(longest[1], len("answer")), 60)


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
        print(f"\n- {warning}")
    if found.sizes and found.sizes.small:
        print(
            f"\n{found.sizes.small:,} images have a side below 64 pixels: near copies were not looked for among them."
        )
    for title, lines in _findings(found):
        if lines:
            more = f"\n  and {len(lines) - SHOWN_FINDINGS:,} more (--json lists all)" * (len(lines) > SHOWN_FINDINGS)
            print(f"\n{title}: {len(lines):,}\n  " + "\n  ".join(lines[:SHOWN_FINDINGS]) + more)


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


def print_result(summary: Summary) -> None:
    """Print the story of a study: verdict, ranking, confusion matrix of the best, published numbers, warnings."""
    print(f"\n{summary.verdict}")
    if summary.recommendation:
        print(summary.recommendation)
    print()
    _print_ranking(summary)
    print()
    headings = ["true \\ predicted", *summary.dataset.classes]
    matrix = summary.test.confusion_matrix
    if len(matrix) <= MATRIX_CLASSES:
        print_table(
            headings, [[name, *map(str, row)] for name, row in zip(summary.dataset.classes, matrix, strict=True)]
        )
        print()
    _print_published(summary.published)
    for sentence in _warnings(summary):
        print(f"{sentence}\n")


def _warnings(summary: Summary) -> Iterator[str]:
    """Yield what may be wrong with the images or flattering in the numbers."""
    if summary.label_doubts:
        yield summary.label_doubts.sentence
    if summary.optimism:
        yield summary.optimism.sentence
    if summary.operating:
        yield summary.operating.sentence
    if summary.changes:
        yield summary.changes.sentence
    if summary.learning_curve:
        yield summary.learning_curve.sentence
    yield from (one.sentence for one in summary.combinations if one.recommended)


def _print_published(rows: Sequence[Published]) -> None:
    """Print the published values of all images; those of classes, folds and cells are for the report."""
    if not rows:
        return
    print("Published against here (differences of percentages in points)")
    measured = [row for row in rows if ":" not in row.metric and row.here is not None]
    if measured:
        headings = ["candidate", "images", "metric", "published", "here", "difference"]
        print_table(headings, [_published_row(row) for row in measured])
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


def _print_ranking(summary: Summary) -> None:
    from headstart.evaluation.ranking import best_first

    tested = {final.candidate: f"{final.test.accuracy:.1%}" for final in summary.finals}
    done = best_first(summary.candidates, summary.protocol.monitor)
    done.sort(key=lambda one: one.id != summary.best)
    rows = [_ranking_row(one, tested) for one in done]
    failed = [one for one in summary.candidates if not one.cv]
    rows += [[one.id, "-", "", "", "", ""] for one in failed]
    judged = "folds" if summary.protocol.kind == "folds" else "hold-out"
    print_table(["candidate", f"accuracy ({judged})", "std", "loss", "test", "parameters"], rows)
    for one in failed:
        print(f"{one.id} failed: {one.reason or 'no reason was recorded.'}")


def _ranking_row(one: CandidateResult, tested: dict[str, str]) -> list[str]:
    assert one.cv is not None and one.parameters is not None
    accuracy, deviation = one.cv.accuracy, one.cv.accuracy.std
    spread = "" if deviation is None else f"{deviation:.1%}"
    total = f"{one.parameters.total:,}"
    return [one.id, f"{accuracy.mean:.1%}", spread, f"{one.cv.loss.mean:.3f}", tested.get(one.id, ""), total]
