"""Small pictures for the report: classes, augmentations, galleries of test images, and images worth a look."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.classifier import predict
from headstart.classifier.explain import Explainer, overlay, placed
from headstart.data import augment, decode
from headstart.data.decode import Resize
from headstart.data.table import ImageRow
from headstart.recipe import Augmentation, Candidate
from headstart.runs.folder import ORIGINAL, PictureRow
from headstart.runs.rows import CONFUSED, MISTAKE, OVERLAY, PHOTOGRAPH, SURE, THUMBNAIL, UNSURE
from headstart.study import galleries
from headstart.study.case import Case
from headstart.study.judge import final_job
from headstart.study.networks import Network
from headstart.study.parts import Parts
from headstart.study.plan import Plan
from headstart.study.views import Copies

SIDE = 112
"""Pixels on the longer side of samples, augmented copies and thumbnails."""
GALLERY_SIDE = 160
SAMPLES_OF_A_CLASS = 6
# With many classes fewer of each, so that the page stays small.
SAMPLES = 120
# Images of the contact sheet of augmentations, and how often each is drawn anew.
AUGMENTED, DRAWN = 4, 4
# Thumbnails: doubts and odd images; groups of each kind, and pictures of a group.
LISTED, GROUPS, OF_A_GROUP = 12, 6, 4
EXPLAINED = (SURE, MISTAKE, CONFUSED, UNSURE)

Pixels = NDArray[np.uint8]
Drawn = tuple[PictureRow, bytes | None]
"""A picture as JPEG with its row; None: the row shows a photograph that another row brings."""


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """A test image: as people see it, and as the network does, uint8 RGB ``(height, width, 3)``; what is said of it."""

    row: ImageRow
    photograph: Pixels
    seen: Pixels
    predicted: int
    probability: float


def pictures(case: Case) -> Iterator[Drawn]:
    """Yield the pictures of a study whose classifier, doubts and audit are written."""
    yield from _augmented(case.plan, case.parts)
    yield from _samples(case.plan, case.parts)
    yield from _galleries(case)
    yield from _thumbnails(case)


def _augmented(plan: Plan, parts: Parts) -> Iterator[Drawn]:
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
        seed = final_job(candidate, parts.train, 1, plan.recipe.protocol).augment_seed
        for epoch in range(1, DRAWN + 1):
            rows = np.array([position])
            yield ", ".join(fresh), augment.fresh_batch(pixels[None], fresh, seed=seed, epoch=epoch, rows=rows)[0]


def _samples(plan: Plan, parts: Parts) -> Iterator[Drawn]:
    """Yield evenly spaced training images of every class."""
    square = Resize(SIDE, SIDE, "pad" if plan.recipe.data.resize == "pad" else "crop")
    for number, (position, label) in enumerate(_sample_positions(parts, len(plan.table.classes))):
        row = parts.rows[position]
        small = decode.load(plan.encoded(row), square)
        yield PictureRow("sample", number, row.path, plan.table.classes[label]), decode.jpeg(small)


def _sample_positions(parts: Parts, classes: int) -> Iterator[tuple[int, int]]:
    wanted = max(1, min(SAMPLES_OF_A_CLASS, SAMPLES // classes))
    for label in range(classes):
        mine = parts.train[parts.labels[parts.train] == label]
        for place in np.unique(np.linspace(0, len(mine) - 1, wanted).astype(int)):
            yield int(mine[place]), label


def _galleries(case: Case) -> Iterator[Drawn]:
    """Yield each photograph that a gallery shows once, its overlay, then the galleries as lists of photographs."""
    blocks = [case.test_of(one.id) for one in case.ranked]
    listed = galleries.chosen(blocks[0].labels, [block.probabilities for block in blocks])
    numbers = {place: number for number, place in enumerate(dict.fromkeys(itertools.chain(*listed.values())))}
    explained = {place for kind in EXPLAINED for place in listed[kind]}
    shown = {place: _shown(case, place) for place in numbers}
    for place, one in shown.items():
        yield PictureRow(PHOTOGRAPH, numbers[place], one.row.path, one.row.label), decode.jpeg(one.photograph)
    yield from _overlays(case, {numbers[place]: one for place, one in shown.items() if place in explained})
    for kind, places in listed.items():
        for number, place in enumerate(places):
            one = shown[place]
            row = PictureRow(
                kind=kind,
                number=number,
                path=one.row.path,
                label=one.row.label,
                predicted=case.classes[one.predicted],
                probability=one.probability,
                photograph=numbers[place],
            )
            yield row, None


def _shown(case: Case, place: int) -> _Shown:
    row = case.parts.rows[case.parts.test[place]]
    size = case.final_of(case.best).judged.network.size
    pixels = decode.pixels(case.plan.encoded(row))
    said = case.test_of(case.best).probabilities[place]
    return _Shown(
        row=row,
        photograph=_whole(pixels, GALLERY_SIDE),
        seen=decode.load(pixels, size),
        predicted=int(said.argmax()),
        probability=float(said.max()),
    )


def _whole(pixels: Pixels, side: int) -> Pixels:
    """Return the whole image, small, with its own ratio of sides; ``side`` is the longer one in pixels."""
    height, width = pixels.shape[:2]
    return decode.load(pixels, Resize.whole(height, width, longest=side))


def _overlays(case: Case, shown: Mapping[int, _Shown]) -> Iterator[Drawn]:
    """Yield photographs with what the classifier looked at for its answer; none, and a line in the log, if it fails."""
    try:
        classifier = predict.load(case.place.folder.classifier)
        inputs, classes = [one.seen for one in shown.values()], [one.predicted for one in shown.values()]
        heats = Explainer(classifier).grad_cam(inputs, classes)
        drawn = [
            _heated(one.photograph, heat, classifier.info.size) for one, heat in zip(shown.values(), heats, strict=True)
        ]
    except Exception as error:
        # An explanation is an extra: whatever keeps it away, the study has its numbers and its classifier.
        case.place.folder.log("overlays", failed=f"{type(error).__name__}: {error}")
        return
    for (number, one), pixels in zip(shown.items(), drawn, strict=True):
        yield PictureRow(OVERLAY, number, one.row.path, one.row.label), decode.jpeg(pixels)


def _heated(photograph: Pixels, heat: NDArray[np.float32], size: Resize) -> Pixels:
    height, width = photograph.shape[:2]
    return overlay(photograph, placed(heat, height, width, size))


def _thumbnails(case: Case) -> Iterator[Drawn]:
    """Yield the first images that are doubted, unlike their class, or there twice, each once."""
    rows = {row.path: row for row in case.plan.table.ok}
    paths = [path for path in dict.fromkeys(_worth_a_look(case)) if path in rows]
    for number, path in enumerate(paths):
        pixels = decode.pixels(case.plan.encoded(rows[path]))
        yield PictureRow(THUMBNAIL, number, path, rows[path].label), decode.jpeg(_whole(pixels, SIDE))


def _worth_a_look(case: Case) -> Iterator[str]:
    audit = case.place.folder.audit()
    doubted = (row for row in case.place.folder.doubts() if row.confidence is not None)
    yield from [row.path for row in doubted][:LISTED]
    yield from [one.path for one in audit.atypical[:LISTED]]
    yield from _of_groups(audit.label_conflicts, OF_A_GROUP)
    yield from _of_groups(audit.near_duplicates, OF_A_GROUP)
    yield from _of_groups(audit.similar, OF_A_GROUP)
    # Equal images look the same: one stands for all.
    yield from _of_groups(audit.exact_duplicates, 1)


def _of_groups(groups: Sequence[Sequence[str]], pictures_of_each: int) -> Iterator[str]:
    for group in groups[:GROUPS]:
        yield from group[:pictures_of_each]
