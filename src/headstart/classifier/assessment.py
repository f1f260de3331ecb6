"""A finished classifier on labelled images: everything that a study says of its test images.

Needs the base install only: NumPy, Pillow and OpenVINO.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart import storage
from headstart.classifier.answering import unknown_word
from headstart.classifier.bundle import HASH_BYTES
from headstart.classifier.predict import Classifier
from headstart.classifier.prediction import Image, Prediction
from headstart.data.assemble import AS_FOUND
from headstart.data.findings import SetAside
from headstart.data.images import list_data
from headstart.data.listing import Entry, FileSource, Listing, shown
from headstart.data.rules import check_class_names, label_of
from headstart.errors import DataError, ImageError, UsageError, did_you_mean
from headstart.evaluation.calibration import calibration_scores
from headstart.evaluation.evidence import CalibrationScores, Interval
from headstart.evaluation.intervals import wilson_interval
from headstart.evaluation.metrics import evaluate
from headstart.evaluation.operating import Cost, cost_matrix
from headstart.evaluation.results import Evaluation
from headstart.evaluation.unknown import auroc
from headstart.progress import SILENT, Progress
from headstart.recipe import DataRules

OTHERS = ("stop", "skip", "unknown")
"""What to do with images of classes that the classifier does not have: an error; leave them out; judge the refusal."""

NO_CLASS = -1


@dataclass(frozen=True, slots=True)
class Share:
    """So many of the images, their share in 0..1 and its 95 % interval (Wilson); None of no images."""

    count: int
    images: int
    share: float | None
    ci95: Interval | None


@dataclass(frozen=True, slots=True)
class ClassAnswers:
    """The answers of a class that has a threshold: ``kind`` and ``threshold`` as in ``classifier.json``."""

    class_: str
    kind: str
    threshold: float
    precision: Share
    recall: Share


@dataclass(frozen=True, slots=True)
class AnswerQuality:
    """What was answered, by thresholds, costs and the refusal of unknown images; of images with a known class.

    Attributes:
        right: answered with their class; a refusal is not right.
        refused: answered with ``unknown``.
        right_of_answered: of those not refused.
        cost: mean of what the answers cost, refusals left out; None without costs.
        classes: those that have a threshold.
    """

    right: Share
    refused: Share
    right_of_answered: Share
    cost: float | None
    classes: tuple[ClassAnswers, ...]


@dataclass(frozen=True, slots=True)
class NoClass:
    """Images of classes that the classifier does not have.

    Attributes:
        classes: class -> images.
        refused: those that were answered ``unknown``, as they should be.
        auroc: chance that one of them looks less known than an image of a known class; None where nothing tells.
    """

    classes: dict[str, int]
    refused: Share
    auroc: float | None


@dataclass(frozen=True, slots=True)
class Learned:
    """How many images the classifier learned from, and how it does without them.

    Known are the files that it learned from, byte by byte; not the same pictures in other files.

    Attributes:
        images: that it learned from, among ``Assessment.images``.
        test, calibration, answers: as in ``Assessment``, of the images that it did not learn from; None where there is
            none.
    """

    images: int
    test: Evaluation | None
    calibration: CalibrationScores | None
    answers: AnswerQuality | None


@dataclass(frozen=True, slots=True)
class Assessment:
    """How a classifier does on labelled images.

    Attributes:
        data: as it was named.
        images: of the classifier's classes that could be read.
        left_out: class that the classifier does not have -> images, where they were skipped.
        notes: sentences on what was done with DATA.
        test: by the most probable class and calibrated probabilities; None where ``images`` is 0.
        calibration: of these probabilities.
        learned: None where the classifier does not know what it learned from, as older ones do not.
    """

    schema_version: int
    classifier: str
    study: str
    data: str
    classes: tuple[str, ...]
    temperature: float
    images: int
    set_aside: tuple[SetAside, ...]
    left_out: dict[str, int]
    notes: tuple[str, ...]
    test: Evaluation | None
    calibration: CalibrationScores | None
    answers: AnswerQuality | None
    unknown: NoClass | None
    learned: Learned | None = None

    @property
    def without_learned(self) -> Learned | None:
        """What holds for new images where some of the images were learned from and others not; else None."""
        return self.learned if self.learned and self.learned.images and self.learned.test else None


def assess(
    classifier: Classifier,
    data: str | Path,
    *,
    others: str = "stop",
    rules: DataRules = AS_FOUND,
    progress: Progress = SILENT,
) -> Assessment:
    """Judge a classifier by labelled images.

    Args:
        data: as for ``compare``; where it has a test split, that alone is used.
        others: what to do with images of classes that the classifier does not have, one of ``OTHERS``.
        rules: of which ``class_names`` renames labels.

    Raises:
        DataError: DATA cannot be used, holds none of the classifier's classes, or no image of it can be read.
        UsageError: it holds other classes too and ``others`` is ``stop``, or a name is not known.
    """
    if others not in OTHERS:
        raise UsageError(
            f"--other-classes must be {', '.join(OTHERS)}. Received: {others!r}.{did_you_mean(others, OTHERS)}"
        )
    listing = list_data(data, strict=False)
    check_class_names(listing, rules.class_names)
    entries, notes = _test_entries(listing)
    aside = [SetAside(entry.path, entry.reason) for entry in entries if entry.reason]
    if len(aside) == len(entries):
        raise _nothing_to_read(listing.location, aside)
    labelled = [(entry, label_of(entry, rules)) for entry in entries if entry.label and not entry.reason]
    strange = Counter(label for _, label in labelled if label not in classifier.classes)
    _check_classes(strange, labelled, classifier, listing.location, stop=others == "stop")
    if others == "skip":
        labelled = [(entry, label) for entry, label in labelled if label in classifier.classes]
    said = _said(classifier, listing, labelled, progress)
    aside += said.set_aside
    if not len(said.labels):
        raise _nothing_to_read(listing.location, aside)
    return _assessment(
        classifier,
        said,
        data=listing.location,
        set_aside=tuple(aside),
        left_out=dict(strange) if others == "skip" else {},
        strange=dict(strange) if others == "unknown" else {},
        notes=(*listing.notes, *notes),
    )


def _test_entries(listing: Listing) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """Return the entries to judge by, and a sentence where others were left out."""
    test = tuple(entry for entry in listing.entries if entry.split == "test")
    if not test or len(test) == len(listing.entries):
        return listing.entries, ()
    others = len(listing.entries) - len(test)
    return test, (f"Only the test split was used; {others:,} images of other splits were left out.",)


def _check_classes(
    strange: Counter[str], labelled: Sequence[tuple[Entry, str]], classifier: Classifier, location: str, *, stop: bool
) -> None:
    known = f"The classifier knows {shown(list(classifier.classes), 10)}."
    if not labelled or len(strange) == len({label for _, label in labelled}):
        raise DataError(
            f"{location} has no images of the classifier's classes. {known} Give the labels of DATA these names, in "
            "the folders or with --class-names."
        )
    if strange and stop:
        names = list(strange)
        raise UsageError(
            f"{location} has {len(names)} classes that the classifier does not have: {shown(names, 10)}."
            f"{did_you_mean(names[0], classifier.classes)} {known} Rename them with --class-names, leave them out with "
            "--other-classes skip, or see how many of their images are refused with --other-classes unknown."
        )


def _nothing_to_read(location: str, aside: Sequence[SetAside]) -> DataError:
    first = f", such as {aside[0].path}: {aside[0].reason}" if aside else ""
    return DataError(
        f"None of the {len(aside):,} images to judge by in {location} can be read{first}. See what is wrong with them: "
        f"headstart audit {location}"
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Said:
    """What was said of the images that could be read.

    Attributes:
        labels: true class ``(images,)``, ``NO_CLASS`` of images of other classes.
        probabilities: calibrated, ``(images, classes)``.
        answers: class that was answered ``(images,)``, ``NO_CLASS`` where it was refused.
        scores: how unknown they look ``(images,)``; NaN where nothing tells.
        learned: whether the classifier learned from them ``(images,)``; None where it does not know.
    """

    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    answers: NDArray[np.int64]
    scores: NDArray[np.float64]
    learned: NDArray[np.bool_] | None
    set_aside: tuple[SetAside, ...]


def _said(classifier: Classifier, listing: Listing, labelled: Sequence[tuple[Entry, str]], progress: Progress) -> _Said:
    places = {name: place for place, name in enumerate(classifier.classes)}
    answer_places = {**places, unknown_word(classifier.classes): NO_CLASS}
    hashes = classifier.bundle.learned()
    rows, learned, aside = [], [], []
    with progress.track("Evaluating", total=len(labelled), unit="images") as advance:
        stream = classifier.stream(_images(listing, [entry for entry, _ in labelled]))
        for (entry, label), prediction in zip(labelled, stream, strict=True):
            advance(1)
            if prediction.error is not None:
                aside.append(SetAside(entry.path, prediction.error))
                continue
            if hashes is not None:
                learned.append(_hash(listing, entry) in hashes)
            answer, score = answer_places[str(prediction.answer)], prediction.unknown_score
            rows.append(
                (places.get(label, NO_CLASS), _row(prediction, places), answer, np.nan if score is None else score)
            )
    labels, probabilities, answers, scores = zip(*rows, strict=True) if rows else ((), (), (), ())
    return _Said(
        np.array(labels, np.int64),
        np.array(probabilities, np.float64).reshape(-1, len(places)),
        np.array(answers, np.int64),
        np.array(scores, np.float64),
        None if hashes is None else np.array(learned, np.bool_),
        tuple(aside),
    )


def _images(listing: Listing, entries: Sequence[Entry]) -> list[Image]:
    source = listing.source
    if isinstance(source, FileSource):
        # read where they are decoded, in parallel
        return [source.file(entry.path) for entry in entries]
    return [source.encoded(entry.path) for entry in entries]


def _hash(listing: Listing, entry: Entry) -> str:
    """Return what ``Bundle.learned`` keeps of an image that could be read; empty where it no longer can."""
    source = listing.source
    try:
        if isinstance(source, FileSource):
            sha256 = storage.sha256_of(source.file(entry.path))
        else:
            content = source.encoded(entry.path)
            sha256 = hashlib.sha256(content if isinstance(content, bytes) else content.tobytes()).hexdigest()
    except (OSError, ImageError):
        return ""
    return sha256[: 2 * HASH_BYTES]


def _row(prediction: Prediction, places: dict[str, int]) -> NDArray[np.float64]:
    row = np.zeros(len(places))
    for one in prediction.ranked:
        row[places[one.class_]] = one.probability
    return row


def _assessment(
    classifier: Classifier,
    said: _Said,
    *,
    data: str,
    set_aside: tuple[SetAside, ...],
    left_out: dict[str, int],
    strange: dict[str, int],
    notes: tuple[str, ...],
) -> Assessment:
    known = said.labels != NO_CLASS
    test, calibration, answers = of_all = _judged(classifier, said, known)
    return Assessment(
        schema_version=1,
        classifier=str(classifier.bundle.path),
        study=classifier.info.provenance.study,
        data=data,
        classes=classifier.classes,
        temperature=classifier.info.temperature,
        images=int(known.sum()),
        set_aside=tuple(sorted(set_aside, key=lambda one: one.path)),
        left_out=left_out,
        notes=notes,
        test=test,
        calibration=calibration,
        answers=answers,
        unknown=_no_class(said, known, strange) if strange else None,
        learned=None if said.learned is None else _learned(classifier, said, known & said.learned, of_all),
    )


_Judged = tuple[Evaluation, CalibrationScores, AnswerQuality] | tuple[None, None, None]


def _judged(classifier: Classifier, said: _Said, those: NDArray[np.bool_]) -> _Judged:
    """Return what is found on those of the images with a known class, if there are any."""
    if not those.any():
        return None, None, None
    labels, probabilities = said.labels[those], said.probabilities[those]
    # the same draws as for the test images of a study
    seed = storage.seed_from("intervals", "test")
    return (
        evaluate(labels, probabilities, classifier.classes, seed=seed),
        calibration_scores(labels, probabilities),
        _answer_quality(classifier, labels, said.answers[those]),
    )


def _learned(classifier: Classifier, said: _Said, learned: NDArray[np.bool_], of_all: _Judged) -> Learned:
    others = (said.labels != NO_CLASS) & ~learned
    return Learned(int(learned.sum()), *(_judged(classifier, said, others) if learned.any() else of_all))


def _answer_quality(classifier: Classifier, labels: NDArray[np.int64], answers: NDArray[np.int64]) -> AnswerQuality:
    answered, right = answers != NO_CLASS, answers == labels
    return AnswerQuality(
        right=_share(right, np.ones_like(right)),
        refused=_share(~answered, np.ones_like(right)),
        right_of_answered=_share(right, answered),
        cost=_cost(classifier.info.costs, classifier.classes, labels[answered], answers[answered]),
        classes=tuple(
            ClassAnswers(
                one.class_,
                one.kind,
                one.value,
                precision=_share(right, answers == classifier.classes.index(one.class_)),
                recall=_share(right, labels == classifier.classes.index(one.class_)),
            )
            for one in classifier.info.thresholds
        ),
    )


def _cost(
    costs: Sequence[Cost], classes: Sequence[str], labels: NDArray[np.int64], answers: NDArray[np.int64]
) -> float | None:
    return float(cost_matrix(costs, classes)[labels, answers].mean()) if costs and len(labels) else None


def _no_class(said: _Said, known: NDArray[np.bool_], strange: dict[str, int]) -> NoClass:
    scores = said.scores
    area = None if np.isnan(scores).any() else auroc(scores[known], scores[~known])
    return NoClass(strange, _share(said.answers == NO_CLASS, ~known), area)


def _share(those: NDArray[np.bool_], among: NDArray[np.bool_]) -> Share:
    """Return how many of some images (``among``) are also ``those``."""
    count, images = int((those & among).sum()), int(among.sum())
    if not images:
        return Share(0, 0, None, None)
    return Share(count, images, count / images, wilson_interval(count, images))
