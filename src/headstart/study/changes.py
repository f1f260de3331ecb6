"""What a corrected list changed, against the finished run that the list came from."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.data.images import ImageRow
from headstart.errors import RunError
from headstart.evaluation.evidence import Changes
from headstart.evaluation.significance import paired_interval
from headstart.recipe.writer import to_toml
from headstart.runs.folder import PredictionBlock, RunFolder
from headstart.study.case import Case

OF_LIST = ("remove", "relabel", "corrected_from", "keep")
WORDS = ("name", "title", "source", "unknown", "published")
OTHERWISE = "The two runs have other settings too, so the difference is not the list's alone."


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier run: its images by path, what its best candidate says of its test images, and its recipe as TOML."""

    images: dict[str, ImageRow]
    test: PredictionBlock
    study: str


def changes(case: Case) -> Changes | None:
    """Return how many images were corrected, and the accuracy of both runs' best candidates where both were tested.

    Both are judged on the test images that stand in both runs with the same content and the same label. Only what the
    list says counts as corrected: other labels may have changed by other means. None when the study uses no list of an
    earlier run, or that run can no longer be read.
    """
    source = case.plan.recipe.data.corrected_from
    if not source or Path(source).resolve() == case.place.folder.path.resolve():
        return None
    try:
        before = _earlier(RunFolder(Path(source)))
    except (RunError, OSError, ValueError, StopIteration):
        case.place.progress.say(f"The run {source} cannot be read, so what the corrections changed is not shown.")
        return None
    return _compared(before, case)


def _earlier(folder: RunFolder) -> Earlier:
    summary = folder.summary()
    images = {row.path: row for row in folder.images()}
    test = next(folder.predictions(candidates=[summary.best], parts=["test"]))
    return Earlier(images, test, folder.study())


def _compared(before: Earlier, case: Case) -> Changes:
    rules = case.plan.recipe.data
    there = {row.path: row for row in case.plan.table.rows}
    removed = sum(path in there and path in before.images and before.images[path].ok for path in set(rules.remove))
    relabelled = sum(_is_relabelled(before.images.get(path), there.get(path)) for path in rules.relabel)
    was, now = _right_on_both(before, case)
    gained, lost = int((now & ~was).sum()), int((was & ~now).sum())
    found = Changes(
        previous=rules.corrected_run,
        removed=removed,
        relabelled=relabelled,
        images=len(was),
        accuracy_before=float(was.mean()) if len(was) else None,
        accuracy_now=float(now.mean()) if len(was) else None,
        difference_ci95=paired_interval(gained, lost, len(was)) if len(was) else None,
        sentence="",
    )
    same = _settings(before.study) == _settings(to_toml(case.plan.recipe))
    return replace(found, sentence=_sentence(found) if same else f"{_sentence(found)} {OTHERWISE}")


def _is_relabelled(before: ImageRow | None, now: ImageRow | None) -> bool:
    """Tell whether an image of the list is in both runs with the same content, and had another label."""
    return bool(before and now and before.sha256 == now.sha256 and before.label != now.label)


def _settings(study: str) -> dict[str, Any]:
    """Return what decides the numbers of a recipe, without what a corrected list says."""
    plain = {name: value for name, value in tomllib.loads(study).items() if name not in WORDS}
    rules = {name: value for name, value in plain.get("data", {}).items() if name not in OF_LIST}
    return plain | {"data": rules}


def _right_on_both(before: Earlier, case: Case) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return for the test images of both runs whether the earlier best was right, and whether this one is."""
    block, parts = case.test_of(case.best), case.parts
    here = {parts.rows[position].path: place for place, position in enumerate(parts.test)}
    rows = {parts.rows[position].path: parts.rows[position] for position in parts.test}
    right_before, right_now = _right(before.test), _right(block)
    pairs = [
        (right_before[place], right_now[here[path]])
        for place, path in enumerate(before.test.paths)
        if path in rows and _same(before.images[path], rows[path])
    ]
    both = np.array(pairs, bool).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _right(block: PredictionBlock) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = block.probabilities.argmax(axis=1) == block.labels
    return right


def _same(one: ImageRow, other: ImageRow) -> bool:
    return (one.sha256, one.label) == (other.sha256, other.label)


def _sentence(found: Changes) -> str:
    start = f"Against {found.previous}, {_images(found.removed)} left out and {found.relabelled:,} relabelled."
    if found.accuracy_before is None or found.accuracy_now is None or found.difference_ci95 is None:
        return f"{start} The two runs have no test image in common."
    low, high = found.difference_ci95
    surely = "that is more than chance explains" if low > 0 or high < 0 else "chance alone may explain that"
    return (
        f"{start} Of the {found.images:,} test images of both, {100 * found.accuracy_before:.1f} % were right before "
        f"and {100 * found.accuracy_now:.1f} % are now (difference "
        f"{100 * (found.accuracy_now - found.accuracy_before):.1f} points, 95 % interval {100 * low:.1f} to "
        f"{100 * high:.1f}): {surely}."
    )


def _images(count: int) -> str:
    return "1 image was" if count == 1 else f"{count:,} images were"
