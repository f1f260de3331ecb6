"""Small pictures for the report: some of every class, and the most confident mistakes of the best classifier."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from headstart.data import decode
from headstart.data.decode import Resize
from headstart.runs.folder import PictureRow, PredictionBlock
from headstart.study.parts import Parts
from headstart.study.plan import Plan

SIDE = 112
SAMPLES_OF_A_CLASS = 6
# With many classes fewer of each, so that the page stays small.
SAMPLES = 120
MISTAKES = 18


def pictures(plan: Plan, parts: Parts, test: PredictionBlock) -> Iterator[tuple[PictureRow, bytes]]:
    """Yield the pictures of a study as JPEG, each with its row."""
    for number, (position, label) in enumerate(_samples(parts, len(plan.table.classes))):
        path = parts.rows[position].path
        yield PictureRow("sample", number, path, plan.table.classes[label]), _jpeg(plan, parts, position)
    positions = dict(zip(test.paths, parts.test, strict=True))
    for number, place in enumerate(_mistakes(test)):
        predicted = int(test.probabilities[place].argmax())
        row = PictureRow(
            kind="mistake",
            number=number,
            path=test.paths[place],
            label=plan.table.classes[test.labels[place]],
            predicted=plan.table.classes[predicted],
            probability=float(test.probabilities[place, predicted]),
        )
        yield row, _jpeg(plan, parts, positions[test.paths[place]])


def _samples(parts: Parts, classes: int) -> Iterator[tuple[int, int]]:
    """Yield evenly spaced training images of every class."""
    wanted = max(1, min(SAMPLES_OF_A_CLASS, SAMPLES // classes))
    for label in range(classes):
        mine = parts.train[parts.labels[parts.train] == label]
        for place in np.unique(np.linspace(0, len(mine) - 1, wanted).astype(int)):
            yield int(mine[place]), label


def _mistakes(test: PredictionBlock) -> list[int]:
    """Return the places of the wrong answers, the most confident first."""
    predicted = test.probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != test.labels)
    confidence = test.probabilities[wrong].max(axis=1)
    return [int(place) for place in wrong[np.argsort(-confidence, kind="stable")][:MISTAKES]]


def _jpeg(plan: Plan, parts: Parts, position: int) -> bytes:
    encoded = plan.encoded(parts.rows[position])
    return decode.jpeg(decode.load(encoded, Resize(SIDE, SIDE, "pad" if plan.recipe.data.resize == "pad" else "crop")))
