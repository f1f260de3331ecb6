"""One finished run as it stands beside others: what was read of it, and what a reader calls it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.data.table import ImageRow
from headstart.errors import UsageError
from headstart.evaluation import headline
from headstart.evaluation.headline import Figure
from headstart.evaluation.results import CandidateResult, FinalResult, FoldValues
from headstart.evaluation.summary import Summary
from headstart.report.names import labels, printable
from headstart.report.sure import names
from headstart.runs.folder import CandidateTiming, Environment, PredictionBlock, RunFolder, Timings


@dataclass(frozen=True, slots=True, eq=False)
class FinishedRun:
    """A run beside others.

    ``name`` is its own on the page, ``typed`` its folder as it was given. ``test`` is what its best candidate says of
    its test images.
    """

    name: str
    typed: str
    summary: Summary
    timings: Timings
    environment: Environment
    study: str
    images: tuple[ImageRow, ...]
    test: PredictionBlock

    @property
    def best(self) -> CandidateResult:
        """Its best candidate."""
        return self.summary.candidates[self.best_place]

    @property
    def best_place(self) -> int:
        """Where its best candidate stands among all."""
        return [one.id for one in self.summary.candidates].index(self.summary.best)

    @property
    def final(self) -> FinalResult:
        """The final training of its best candidate."""
        return next(one for one in self.summary.finals if one.candidate == self.summary.best)

    @property
    def label(self) -> str:
        """What a reader calls its best candidate."""
        return labels(self.summary.candidates)[self.summary.best].text

    @property
    def recommended(self) -> str:
        """What a reader calls the candidate, or combination, that its study recommends."""
        return names(self.summary).get(self.summary.recommended, self.summary.recommended)

    @property
    def speed(self) -> CandidateTiming | None:
        """The times of its best candidate, None where they were not taken."""
        return self.timings.candidates.get(self.summary.best)

    @property
    def held_back(self) -> FoldValues:
        """The best candidate's accuracy on images held back from its training, less what choosing it adds."""
        assert self.best.cv is not None, "the best candidate has finished its rounds"
        return headline.lowered_values(self.best.cv.accuracy, headline.shift(self.summary))

    @property
    def validation(self) -> float:
        """The mean of ``held_back``, 0..1."""
        return self.held_back.mean

    @property
    def tested(self) -> Figure | None:
        """The best candidate's accuracy on the test images that count; None where all are also training images."""
        return headline.headline(self.summary)


def read_runs(folders: Sequence[Path]) -> tuple[FinishedRun, ...]:
    """Read finished runs, each under a name that no other one has.

    Raises:
        UsageError: one run is given twice.
        RunError: a study is not finished, or a file is missing or damaged.
    """
    _check_once(folders)
    return tuple(_read(folder, name) for folder, name in zip(folders, short_names(folders), strict=True))


def _check_once(folders: Sequence[Path]) -> None:
    given: dict[Path, Path] = {}
    for folder in folders:
        place = folder.resolve()
        if place in given:
            as_what = "twice" if given[place] == folder else f"as {given[place]} and {folder}"
            raise UsageError(f"The run {folder} is given {as_what}. Name each run once.")
        given[place] = folder


def short_names(folders: Sequence[Path]) -> tuple[str, ...]:
    """Return each folder's own name, with as many folders above it as tell equal names apart."""
    parts = [[printable(part) for part in folder.resolve().parts] for folder in folders]
    lengths = [1] * len(parts)
    while True:
        names = ["/".join(one[-length:]) for one, length in zip(parts, lengths, strict=True)]
        times = Counter(names)
        longer = [place for place, name in enumerate(names) if times[name] > 1 and lengths[place] < len(parts[place])]
        if not longer:
            return tuple(names)
        for place in longer:
            lengths[place] += 1


def _read(folder: Path, name: str) -> FinishedRun:
    run = RunFolder(folder)
    summary = run.summary()
    return FinishedRun(
        name=name,
        typed=printable(str(folder)),
        summary=summary,
        timings=run.timings(),
        environment=run.environment(),
        study=run.study(),
        images=run.images(),
        test=next(iter(run.predictions(candidates=[summary.best], parts=["test"]))),
    )
