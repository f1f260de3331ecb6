"""``headstart predict``: find the files, answer, copy, write; files that appear later too."""

from __future__ import annotations

import dataclasses
import itertools
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import click

from headstart import terminal
from headstart.classifier import inputs, tables
from headstart.classifier.answering import unknown_word
from headstart.classifier.predict import Classifier, Prediction, counted, load
from headstart.classifier.sorting import Sorter, check_apart
from headstart.classifier.watching import Watch
from headstart.errors import UsageError
from headstart.progress import Progress

# Fewer files than this are answered before a bar would be read.
WORTH_A_BAR = 50

TOP = 3
"""Classes per line of the table unless the user says otherwise."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What the command line was told, with the options' names.

    Raises:
        UsageError: options exclude each other.
    """

    top: int | None = None
    as_json: bool = False
    as_csv: bool = False
    parquet: Path | None = None
    sort_into: Path | None = None
    watch: Path | None = None
    quiet: bool = False

    def __post_init__(self) -> None:
        flags = {"--json": self.as_json, "--csv": self.as_csv, "--parquet": self.parquet is not None}
        given = [flag for flag, there in flags.items() if there]
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} exclude each other. Give one of them.")
        if self.top and given and not self.as_json:
            raise UsageError(f"{given[0]} has a column for every class. Leave out --top, or use --json.")
        if self.watch and self.parquet:
            raise UsageError("--parquet writes its file when all is done, and --watch does not end. Use --csv.")


@dataclass(slots=True)
class _Tally:
    """What went by: how often every answer was given, and how many images could not be read."""

    answers: Counter[str] = field(default_factory=Counter)
    failed: int = 0

    def of(self, predictions: Iterable[Prediction]) -> Iterator[Prediction]:
        for prediction in predictions:
            if prediction.answer is None:
                self.failed += 1
            else:
                self.answers[prediction.answer] += 1
            yield prediction

    @property
    def answered(self) -> int:
        return self.answers.total()


def run(classifier: Path, paths: Sequence[Path], choices: Choices) -> bool:
    """Do what the command line says; return whether an image could not be read or a path does not exist.

    Raises:
        HeadstartError: what was named cannot be used; the message says what to do.
        OSError: a copy or the Parquet file cannot be written.
    """
    if not paths and not choices.watch:
        raise UsageError("Name the images: files, folders, patterns, - for a list on standard input; or --watch DIR.")
    if choices.parquet:
        tables.check_parquet(choices.parquet)
    if choices.sort_into:
        apart = [path for path in paths if str(path) != inputs.STANDARD_INPUT]
        check_apart([*apart, *([choices.watch] if choices.watch else [])], choices.sort_into)
    model = load(classifier)
    watch = Watch(choices.watch, leave_out=choices.sort_into) if choices.watch else None
    named = inputs.find_images(paths, leave_out=choices.sort_into) if paths else inputs.Inputs((), {})
    files = named.files
    sorter = Sorter(choices.sort_into, model.classes) if choices.sort_into else None
    tally = _Tally()
    with _stop_request(wanted=watch is not None) as stopped, _bar(files, choices) as advance:
        found: Iterable[Prediction] = counted(_explained(model.stream(files), named.missing), advance)
        if watch:
            watch.know(files)
            found = itertools.takewhile(lambda _: not stopped(), itertools.chain(found, _new(model, watch, stopped)))
        found = sorter.sort(found) if sorter else found
        _write(tally.of(found), model, files, choices)
    _tell(tally, model.classes, sorter, choices)
    # a watch that was ended has done what it was asked for
    return watch is None and tally.failed > 0


def _explained(predictions: Iterable[Prediction], missing: Mapping[str, str]) -> Iterator[Prediction]:
    """Give files that are not there the reason why they were looked for."""
    for one in predictions:
        yield dataclasses.replace(one, error=missing[one.path]) if one.error and one.path in missing else one


def _new(model: Classifier, watch: Watch, stopped: Callable[[], bool]) -> Iterator[Prediction]:
    """Yield predictions for new files; those that vanish before they are read are passed over."""
    for files in watch.batches(stopped):
        for prediction in model.stream(files):
            if prediction.error is None or Path(prediction.path).exists():
                yield prediction


def _write(predictions: Iterator[Prediction], model: Classifier, files: Sequence[Path], choices: Choices) -> None:
    """Write predictions as they come."""
    if choices.parquet:
        tables.write_parquet(choices.parquet, predictions, model.classes)
        click.echo(choices.parquet)
        return
    for piece in _pieces(predictions, model, files, choices):
        # or click leaves out what looks like colours, where names of files hold it
        click.echo(piece, nl=False, color=True)


def _pieces(
    predictions: Iterator[Prediction], model: Classifier, files: Sequence[Path], choices: Choices
) -> Iterator[str]:
    if choices.as_json and choices.watch:
        return tables.json_lines(predictions, top=choices.top)
    if choices.as_json:
        return itertools.chain(tables.json_pieces(predictions, top=choices.top), "\n")
    if choices.as_csv:
        return tables.csv_lines(predictions, model.classes)
    widths = terminal.widths(files, [*model.classes, unknown_word(model.classes)])
    return terminal.prediction_lines(predictions, widths, top=choices.top or TOP)


def _bar(files: Sequence[Path], choices: Choices) -> terminal.Tracking:
    """Return the progress of a long job whose answers do not show it themselves."""
    shown = len(files) >= WORTH_A_BAR and not (choices.quiet or choices.as_json or choices.watch)
    on_screen = sys.stdout.isatty() and not choices.parquet
    progress = terminal.make_progress(quiet=not shown or on_screen) if files else Progress()
    return progress.track("Predicting", total=len(files), unit="images")


def _tell(tally: _Tally, classes: Sequence[str], sorter: Sorter | None, choices: Choices) -> None:
    """Say in a line each what the rows do not."""
    if choices.quiet or choices.as_json:
        return
    if choices.watch:
        unread = f" and {tally.failed:,} that could not be read" if tally.failed else ""
        click.echo(f"Stopped after {tally.answered:,} images{unread}.", err=True)
    if sorter:
        there = f"; {sorter.there:,} have an equal copy there" if sorter.there else ""
        click.echo(f"Copied {sorter.copied:,} images into {sorter.folder}{there}.", err=True)
    if tally.answered + tally.failed > 1:
        click.echo(terminal.answers_in_short(tally.answers, classes, unread=tally.failed), err=True)


@contextmanager
def _stop_request(*, wanted: bool) -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C and SIGTERM ask for an end, so that what is in hand is finished; a second one ends at once.

    Yields what tells whether the end was asked for. Without ``wanted`` nothing is changed.
    """
    # no threading.Event: a signal's handler may not wait for its lock, which the interrupted code may hold
    requests: list[int] = []
    earlier = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM) if wanted}

    def request(number: int, frame: FrameType | None) -> None:
        requests.append(number)
        restore()

    def restore() -> None:
        for number, handler in earlier.items():
            signal.signal(number, handler)

    for number in earlier:
        signal.signal(number, request)
    try:
        yield lambda: bool(requests)
    finally:
        restore()
