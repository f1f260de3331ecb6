"""Small pictures for the report: of every class, of augmentations, and the most confident mistakes of the best."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from headstart.data import augment, decode
from headstart.data.decode import Resize
from headstart.recipe import Augmentation, Candidate
from headstart.runs.folder import ORIGINAL, PictureRow, PredictionBlock
from headstart.study.judge import final_job
from headstart.study.networks import Network
from headstart.study.parts import Parts
from headstart.study.plan import Plan
from headstart.study.views import Copies

SIDE = 112
SAMPLES_OF_A_CLASS = 6
# With many classes fewer of each, so that the page stays small.
SAMPLES = 120
MISTAKES = 18
# Images of the contact sheet of augmentations, and how often each is drawn anew.
AUGMENTED, DRAWN = 4, 4

Pixels = NDArray[np.uint8]


def pictures(plan: Plan, parts: Parts, test: PredictionBlock) -> Iterator[tuple[PictureRow, bytes]]:
    """Yield the pictures of a study as JPEG, each with its row."""
    yield from _augmented(plan, parts)
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


def _augmented(plan: Plan, parts: Parts) -> Iterator[tuple[PictureRow, bytes]]:
    """Yield some training images, each followed by changed copies as the first augmented candidate trains on them."""
    network = next((one for one in plan.networks if _augmented_candidate(one)), None)
    if network is None:
        return
    number = 0
    for position in parts.train[np.linspace(0, len(parts.train) - 1, AUGMENTED).astype(int)]:
        row = parts.rows[position]
        pixels = decode.load(plan.encoded(row), network.size)
        for operation, changed in _changed(network, plan, parts, int(position), pixels):
            small = decode.load(changed, Resize(SIDE, SIDE))
            yield PictureRow("augmentation", number, row.path, row.label, operation=operation), decode.jpeg(small)
            number += 1


def _augmented_candidate(network: Network) -> Candidate | None:
    return next((one for one in network.candidates if one.augmentation != Augmentation()), None)


def _changed(network: Network, plan: Plan, parts: Parts, position: int, pixels: Pixels) -> Iterator[tuple[str, Pixels]]:
    """Yield an image as it is, in every fixed view, and as the first epochs of the final training draw it."""
    yield ORIGINAL, pixels
    copies = Copies(parts, network.views, network.seed)
    for view in network.views:
        yield view, copies.change(view)(pixels[None], [position])[0]
    candidate = _augmented_candidate(network)
    fresh = candidate.augmentation.fresh if candidate else ()
    if candidate and fresh:
        seed = final_job(candidate, parts.train, 1, plan.recipe.protocol.seed).augment_seed
        for epoch in range(1, DRAWN + 1):
            rows = np.array([position])
            yield ", ".join(fresh), augment.fresh_batch(pixels[None], fresh, seed=seed, epoch=epoch, rows=rows)[0]


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
