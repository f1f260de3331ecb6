"""In what runs differ before any result: their images, how they were judged, every setting."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.report.finished_run import FinishedRun
from headstart.report.numbers import NONE

LONGEST = 8
"""Values of a list that are written out; a longer one is counted."""

# What says who published what, or is a number and no setting.
WORDS = ("name", "title", "source", "unknown", "published", "classes")
CANDIDATE = "candidate"
BEST, TRIED = "best", "study"


@dataclass(frozen=True, slots=True)
class Fact:
    """A property of every run in words; ``differs`` where not all are equal."""

    title: str
    texts: tuple[str, ...]
    differs: bool


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One key of the recipe whose values are not the same in all runs, in words, run by run.

    ``whose`` is ``study`` (what was tried, all candidates together) or ``best`` (the best candidate's own).
    """

    whose: str
    key: str
    texts: tuple[str, ...]


FACTS: Mapping[str, Callable[[FinishedRun], str]] = {
    "Folder of the images": lambda run: run.summary.dataset.path,
    "Fingerprint of the images": lambda run: run.summary.dataset.fingerprint[:12],
    "Images": lambda run: f"{run.summary.dataset.images:,}",
    "Set aside": lambda run: f"{run.summary.dataset.set_aside:,}",
    "Classes": lambda run: f"{len(run.summary.dataset.classes):,}",
    "Training images": lambda run: _images_in(run, "train"),
    "Validation images": lambda run: _images_in(run, "validation"),
    "Test images": lambda run: _images_in(run, "test"),
    "Judged by": lambda run: _judged_by(run),
    "Candidate chosen by": lambda run: run.summary.protocol.measure.replace("_", " "),
    "Folds scored": lambda run: _scored(run),
    "Seed": lambda run: str(run.summary.protocol.seed),
    "Test set opened": lambda run: f"{run.summary.protocol.test_openings:,} times".replace("1 times", "once"),
    "headstart": lambda run: run.environment.headstart,
    "Training": lambda run: f"Keras with {run.environment.backend}",
    "Frozen networks": lambda run: run.environment.engine,
    "Machine": lambda run: f"{run.environment.processor}, {run.environment.cores} cores, {run.environment.system}",
}


def _images_in(run: FinishedRun, split: str) -> str:
    counts = run.summary.dataset.counts.get(split)
    return f"{sum(counts.values()):,}" if counts else NONE


def _judged_by(run: FinishedRun) -> str:
    protocol = run.summary.protocol
    kind = f"{protocol.folds} folds" if protocol.kind == "folds" else "hold-out"
    return f"{kind}, {protocol.repeats} times" if protocol.repeats > 1 else kind


def _scored(run: FinishedRun) -> str:
    return "at their end" if run.summary.protocol.score_epoch == "last" else "at their best epochs"


def facts(runs: Sequence[FinishedRun]) -> tuple[Fact, ...]:
    """Return what is known of the images and of the judging, run by run."""
    rows = []
    for title, read in FACTS.items():
        texts = tuple(read(run) for run in runs)
        if set(texts) != {NONE}:
            rows.append(Fact(title, texts, len(set(texts)) > 1))
    return tuple(rows)


def setting_rows(runs: Sequence[FinishedRun]) -> tuple[SettingRow, ...]:
    """Return every setting that is not the same in all runs: of the whole studies, then of their best candidates."""
    tried = [_tried(run) for run in runs]
    best = [dict(_flat(run.best.settings)) for run in runs]
    return (*_unlike(TRIED, tried), *_unlike(BEST, best))


def _tried(run: FinishedRun) -> dict[str, Any]:
    """Return the settings of a study; of its candidates' settings the values that occur, in their order."""
    plain = tomllib.loads(run.study)
    candidates = [dict(_flat(one)) for one in plain.pop(CANDIDATE, [])]
    found = {key: value for key, value in _flat(plain) if key.partition(".")[0] not in WORDS}
    for key in dict.fromkeys(key for one in candidates for key in one):
        values: list[Any] = []
        for one in candidates:
            if key in one and one[key] not in values:
                values.append(one[key])
        found[f"{CANDIDATE}.{key}"] = values
    return found


def _flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every setting under its key with dots. A table of names (``class_names``, ``relabel``) is one setting."""
    for name, value in settings.items():
        key = f"{above}{name}"
        if isinstance(value, Mapping) and name not in ("class_names", "relabel"):
            yield from _flat(value, f"{key}.")
        elif key != "name":
            yield key, value


def _unlike(whose: str, settings: Sequence[Mapping[str, Any]]) -> Iterator[SettingRow]:
    for key in dict.fromkeys(key for one in settings for key in one):
        values = [_in_order(one.get(key)) if whose == TRIED else one.get(key) for one in settings]
        # a setting that an older headstart did not have was not in use
        if any(value != values[0] for value in values) and any(value not in (None, [], "") for value in values):
            yield SettingRow(whose, key.removeprefix(f"{CANDIDATE}."), tuple(_told_apart(values)))


def _in_order(values: Any) -> Any:
    """Return numbers that were tried in their order: in which order they were tried is no difference."""
    plain = isinstance(values, list) and all(isinstance(one, int | float) for one in values)
    return sorted(values) if plain else values


def _told_apart(values: Sequence[Any]) -> Iterator[str]:
    """Yield values in words; those that differ but read alike get a number."""
    alike: dict[str, list[Any]] = {}
    for value in values:
        text = written(value)
        same = alike.setdefault(text, [])
        if value not in same:
            same.append(value)
        number = same.index(value) + 1
        yield f"{text} ({number})" if number > 1 else text


def written(value: Any) -> str:
    """Return a value of a recipe in words."""
    if value is None:
        return NONE
    if isinstance(value, Mapping):
        value = [f"{key}: {written(item)}" for key, item in value.items()]
    if isinstance(value, list):
        if len(value) > LONGEST:
            return f"{len(value):,} entries"
        return ", ".join(_inner(item) for item in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value) or "none"


def _inner(value: Any) -> str:
    """Return an entry of a list in words; what is a list itself is joined in another way."""
    if isinstance(value, list) and len(value) <= LONGEST:
        return " + ".join(written(item) for item in value) or "none"
    return written(value)
