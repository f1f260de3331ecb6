"""Pictures of the page: what the best classifier and the other finalists say of single test images."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from headstart.data import decode
from headstart.report.content import Findings, Pair, confused_pairs
from headstart.report.downloads import Download, table
from headstart.report.names import labels
from headstart.runs.folder import DOUBTS, PREDICTIONS, DoubtRow, PictureRow, PredictionBlock, RunFolder
from headstart.runs.rows import CONFUSED, DISAGREEMENT, MISTAKE, OVERLAY, PHOTOGRAPH, SURE, THUMBNAIL, UNSURE

ALL_SHOWN = 8
"""The largest number of classes of which every one has a bar; with more, the most probable and the true one have."""
MOST_PROBABLE = 5
FINALISTS = 12
"""How many finalists stand below one picture; all of them are in the table behind it."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture of an image as a data address."""

    path: str
    label: str
    address: str


@dataclass(frozen=True, slots=True)
class Bar:
    """The probability of one class in 0..1, or of several ``others`` together; ``source`` is where the file has it."""

    name: str
    probability: float
    source: str | None
    true: bool = False
    said: bool = False
    others: int = 0


@dataclass(frozen=True, slots=True)
class Card:
    """A test image with what one candidate says of it. ``photograph`` and ``overlay`` are data addresses.

    ``bars`` are empty where the predictions have no such image.
    """

    path: str
    true: str
    said: str
    probability: float
    source: str | None
    photograph: str
    overlay: str | None
    bars: tuple[Bar, ...]

    @property
    def right(self) -> bool:
        """Whether the true class was said."""
        return self.said == self.true


@dataclass(frozen=True, slots=True)
class PairCards:
    """Some images of one class that were taken for another."""

    pair: Pair
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one finalist says of an image."""

    candidate: str
    card: Card


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One image under every finalist, the best candidate first; ``right`` of ``finalists`` say its true class."""

    card: Card
    opinions: tuple[Opinion, ...]
    right: int
    finalists: int


@dataclass(frozen=True, slots=True)
class Doubt:
    """A doubted label, where its confidence stands, and the image's picture if there is one."""

    row: DoubtRow
    source: str
    picture: str | None


@dataclass(frozen=True, slots=True)
class Galleries:
    """The galleries of the page. ``downloads`` maps a kind of gallery to the table behind it.

    ``photographs`` tells whether the run has a picture of any test image, ``explained`` whether it has overlays,
    ``whole`` whether it has all kinds of galleries (earlier versions had mistakes alone), ``compared`` whether it has
    more than one finalist. ``thumbnails`` stand by the path of their image.
    """

    sure: tuple[Card, ...]
    mistakes: tuple[Card, ...]
    pairs: tuple[PairCards, ...]
    unsure: tuple[Card, ...]
    disagreements: tuple[Disagreement, ...]
    downloads: Mapping[str, Download]
    photographs: bool
    explained: bool
    whole: bool
    compared: bool
    thumbnails: Mapping[str, Thumbnail]
    doubts: tuple[Doubt, ...]

    def pictured(self, groups: Sequence[Sequence[str]]) -> tuple[tuple[Thumbnail, ...], ...]:
        """Return the thumbnails of the first groups of paths, up to the first group that has none."""
        found = (tuple(self.thumbnails[path] for path in group if path in self.thumbnails) for group in groups)
        return tuple(itertools.takewhile(bool, found))


def gather(folder: RunFolder, findings: Findings) -> Galleries:
    """Return the galleries of the page."""
    rows = folder.pictures()
    said = _Said(folder, findings) if any(row.predicted is not None for row in rows) else None
    media = _Media(folder, rows)
    cards = {kind: _cards(kind, media, said) for kind in (SURE, MISTAKE, CONFUSED, UNSURE)}
    disagreements = _disagreements(media, said) if said else ()
    thumbnails = {row.path: Thumbnail(row.path, row.label, media.address(row)) for row in media.of(THUMBNAIL)}
    return Galleries(
        sure=cards[SURE],
        mistakes=cards[MISTAKE],
        pairs=_pairs(findings, cards[CONFUSED]),
        unsure=cards[UNSURE],
        disagreements=disagreements,
        downloads=dict(_downloads(cards, disagreements, said)) if said else {},
        photographs=bool(said),
        explained=bool(media.overlays),
        whole=any(row.kind == PHOTOGRAPH for row in rows),
        compared=len(findings.summary.finals) > 1,
        thumbnails=thumbnails,
        doubts=tuple(_doubts(folder, thumbnails)),
    )


class _Media:
    """The pictures of the run folder as data addresses."""

    def __init__(self, folder: RunFolder, rows: Sequence[PictureRow]) -> None:
        self._folder, self._rows = folder, rows
        self.overlays = {row.path: self.address(row) for row in self.of(OVERLAY)}

    def of(self, kind: str) -> list[PictureRow]:
        """Return the rows of a kind in their order."""
        return sorted((row for row in self._rows if row.kind == kind), key=lambda row: row.number)

    def address(self, row: PictureRow) -> str:
        """Return a picture as a data address."""
        return decode.jpeg_address(self._folder.picture_bytes(row))


class _Said:
    """What the finalists say of the test images; the best candidate stands first."""

    def __init__(self, folder: RunFolder, findings: Findings) -> None:
        summary = findings.summary
        self.classes = summary.dataset.classes
        called = labels(summary.candidates)
        finalists = [final.candidate for final in summary.finals]
        blocks = folder.predictions(candidates=finalists, parts=["test"])
        self.blocks = sorted(blocks, key=lambda block: block.candidate != summary.best)
        self.names = [called[block.candidate].text for block in self.blocks]
        self._places = {path: place for place, path in enumerate(self.blocks[0].paths)}

    def place(self, path: str) -> int | None:
        """Return an image's place among the test images, which is the same for every finalist."""
        return self._places.get(path)

    def source(self, block: PredictionBlock, place: int, label: int) -> str:
        """Return where the file has the probability of a class."""
        assert block.first_row is not None, "the block was read"
        return f"{PREDICTIONS}/{block.first_row + place}/p:{self.classes[label]}"


def _cards(kind: str, media: _Media, said: _Said | None) -> tuple[Card, ...]:
    if said is None:
        return ()
    return tuple(_card(row, media, said) for row in media.of(kind))


def _card(row: PictureRow, media: _Media, said: _Said) -> Card:
    """Return what the best candidate says; of an image that its predictions lack, what the row says."""
    photograph, overlay = media.address(row), media.overlays.get(row.path)
    place = said.place(row.path)
    if place is not None:
        return _judged(said, said.blocks[0], place, photograph, overlay)
    return Card(row.path, row.label, row.predicted or "", row.probability or 0.0, None, photograph, overlay, ())


def _judged(said: _Said, block: PredictionBlock, place: int, photograph: str, overlay: str | None) -> Card:
    true, best = int(block.labels[place]), int(block.probabilities[place].argmax())
    return Card(
        path=block.paths[place],
        true=said.classes[true],
        said=said.classes[best],
        probability=float(block.probabilities[place, best]),
        source=said.source(block, place, best),
        photograph=photograph,
        overlay=overlay,
        bars=tuple(_bars(said, block, place)),
    )


def _bars(said: _Said, block: PredictionBlock, place: int) -> Iterator[Bar]:
    """Yield the bars of all classes in their order; of many, the most probable ones, the true one, and the others."""
    probabilities, true = block.probabilities[place], int(block.labels[place])
    best, shown = int(probabilities.argmax()), list(range(len(probabilities)))
    if len(shown) > ALL_SHOWN:
        order = np.argsort(-probabilities, kind="stable").tolist()
        shown = [*order[:MOST_PROBABLE], *([] if true in order[:MOST_PROBABLE] else [true])]
    for label in shown:
        source = said.source(block, place, label)
        yield Bar(said.classes[label], float(probabilities[label]), source, label == true, label == best)
    if len(shown) < len(probabilities):
        rest = np.delete(probabilities, shown)
        yield Bar("other classes", float(rest.sum()), None, others=len(rest))


def _pairs(findings: Findings, cards: Sequence[Card]) -> tuple[PairCards, ...]:
    """Return the cards of the commonest pairs that have any, in the order in which the page lists the pairs."""
    found = []
    for pair in confused_pairs(findings.summary.test.confusion_matrix, findings.summary.dataset.classes):
        mine = tuple(card for card in cards if (card.true, card.said) == (pair.true, pair.predicted))
        if mine:
            found.append(PairCards(pair, mine))
    return tuple(found)


def _disagreements(media: _Media, said: _Said) -> tuple[Disagreement, ...]:
    found = []
    for row in media.of(DISAGREEMENT):
        place = said.place(row.path)
        if place is None:
            continue
        photograph = media.address(row)
        cards = [_judged(said, block, place, photograph, None) for block in said.blocks]
        opinions = tuple(map(Opinion, said.names, cards))
        right = sum(card.right for card in cards)
        found.append(Disagreement(cards[0], opinions[:FINALISTS], right, len(cards)))
    return tuple(found)


def _downloads(
    cards: Mapping[str, Sequence[Card]], disagreements: Sequence[Disagreement], said: _Said
) -> Iterator[tuple[str, Download]]:
    """Yield for each kind of gallery its images as rows of the file of predictions, without logits."""
    names = {SURE: "sure-and-right", MISTAKE: "mistakes", CONFUSED: "confused-pairs", UNSURE: "least-sure"}
    for kind, name in names.items():
        if cards[kind]:
            yield kind, _predicted(f"{name}.csv", [card.path for card in cards[kind]], said, said.blocks[:1])
    if disagreements:
        paths = [one.card.path for one in disagreements]
        yield DISAGREEMENT, _predicted("finalists-disagree.csv", paths, said, said.blocks)


def _predicted(name: str, paths: Sequence[str], said: _Said, blocks: Sequence[PredictionBlock]) -> Download:
    columns = ("path", "candidate", "label", "predicted", *(f"p:{label}" for label in said.classes))
    places = [place for place in map(said.place, paths) if place is not None]
    return table(name, columns, (_line(block, place, said.classes) for place in places for block in blocks))


def _line(block: PredictionBlock, place: int, classes: Sequence[str]) -> tuple[object, ...]:
    probabilities = block.probabilities[place]
    true, best = classes[block.labels[place]], classes[probabilities.argmax()]
    return (block.paths[place], block.candidate, true, best, *probabilities.tolist())


def _doubts(folder: RunFolder, thumbnails: Mapping[str, Thumbnail]) -> Iterator[Doubt]:
    """Yield the doubted labels with what the study suggested, without what was corrected before this study."""
    rows, suggested = folder.doubts_and_suggestions()
    for number, row in enumerate(rows):
        if row.confidence is not None:
            there = thumbnails.get(row.path)
            row = dataclasses.replace(row, suggested=suggested.get(row.path, row.suggested))
            yield Doubt(row, f"{DOUBTS}/{number}/confidence", there.address if there else None)
