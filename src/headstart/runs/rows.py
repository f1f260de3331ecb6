"""What the files of a run folder hold: rows of its tables, blocks of predictions, times, environment, log."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class FoldRow:
    """The image at ``path`` is in the validation part of this fold; ``repeat`` and ``fold`` count from 0."""

    repeat: int
    fold: int
    path: str


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One candidate on one fold: values at the best epoch (``best_epoch`` counts from 1), then those of the last epoch.

    ``status`` is ``done`` or ``failed``. ``epochs`` is how many were trained. Accuracies are in 0..1, losses in nats.
    """

    candidate: str
    repeat: int
    fold: int
    status: str
    best_epoch: int | None
    epochs: int | None
    accuracy: float | None
    loss: float | None
    train_accuracy: float | None
    train_loss: float | None
    last_accuracy: float | None
    last_loss: float | None


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One epoch of one training: values on the training part, then (``val_``) on the validation part.

    ``fold`` is None in a final training, and ``final`` in the file; ``repeat`` is then None too. ``phase`` counts
    from 1, ``epoch`` from 1 through all phases. None is an empty cell.
    """

    candidate: str
    repeat: int | None
    fold: int | None
    phase: int
    epoch: int
    learning_rate: float
    loss: float | None
    accuracy: float | None
    precision: float | None = None
    recall: float | None = None
    top_k: float | None = None
    val_loss: float | None = None
    val_accuracy: float | None = None
    val_precision: float | None = None
    val_recall: float | None = None
    val_top_k: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PredictionBlock:
    """What one candidate says of one part of the images.

    ``part`` is ``out_of_fold``, ``train``, ``validation`` or ``test``; ``repeat`` and ``fold`` are None outside folds.
    ``labels`` are class indices ``(images,)``; ``probabilities`` (rows sum to 1) and ``logits`` are
    ``(images, classes)`` in float32 or float64. ``first_row`` is where a block that was read starts in the file: its
    rows are counted from 0, the header is not.
    """

    candidate: str
    part: str
    repeat: int | None
    fold: int | None
    paths: tuple[str, ...]
    labels: NDArray[np.integer[Any]]
    probabilities: NDArray[np.floating[Any]]
    logits: NDArray[np.floating[Any]]
    first_row: int | None = None


ORIGINAL = "original"
"""The operation of a picture that was not changed."""


PHOTOGRAPH, OVERLAY, THUMBNAIL = "photograph", "overlay", "thumbnail"
SURE, MISTAKE, CONFUSED, UNSURE, DISAGREEMENT = "sure", "mistake", "confused", "unsure", "disagreement"


@dataclass(frozen=True, slots=True)
class PictureRow:
    """One small picture of ``media/``; ``number`` counts from 0 within a kind.

    Kinds that have a file:
        ``sample`` (of a class); ``augmentation`` (``operation``: ``original``, or what made the copy; an original comes
        first, then its copies); ``thumbnail`` (of an image that is doubted, odd or there twice); ``photograph`` (of a
        test image); ``overlay`` (the photograph of that number with what the best classifier looked at).
    Kinds that show the photograph numbered ``photograph``, in the order of a gallery:
        ``sure`` and right; ``mistake``, most confident first; ``confused``, pair by pair; ``unsure``, least sure first;
        ``disagreement`` of the finalists. ``predicted`` is what the best candidate says, with its ``probability``
        (0..1) before calibration. In runs of earlier versions a ``mistake`` has a file of its own.
    """

    kind: str
    number: int
    path: str
    label: str
    predicted: str | None = None
    probability: float | None = None
    operation: str | None = None
    photograph: int | None = None


MAP_TILE, MAP_COLUMNS = 48, 24
"""The side of a picture on the sheet of map pictures, in pixels, and how many stand side by side."""


@dataclass(frozen=True, slots=True)
class MapRow:
    """One image on the map of the images: ``x`` and ``y`` have no unit; near means alike to the network.

    ``part`` is the image's split. ``predicted`` is what the best candidate says of it, by a model that had not learned
    from it. ``tile`` is the place of its picture on the sheet of map pictures, row by row from 0; None without one.
    """

    path: str
    label: str
    part: str
    predicted: str | None
    x: float
    y: float
    tile: int | None = None


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer of a candidate in the order of the network: its output shape in words, its number of weights.

    ``trainable`` is how many of the weights train in the last phase.
    """

    candidate: str
    layer: str
    kind: str
    output_shape: str
    parameters: int
    trainable: int


@dataclass(frozen=True, slots=True)
class DoubtRow:
    """One image whose label is doubted: ``suggested`` is its label by the candidate, with that probability.

    ``action`` is for people to write: ``drop``, ``relabel`` (to ``suggested``), ``keep``, or nothing. Rows that have
    one from the start are corrections made before this study; they have no confidence.
    """

    path: str
    label: str
    suggested: str
    confidence: float | None
    action: str = ""


@dataclass(frozen=True, slots=True)
class FeatureTiming:
    """How long one backbone's features took: ``images`` computed in ``seconds``, and how many more were ``cached``."""

    images: int
    seconds: float
    images_per_second: float | None
    cached: int


@dataclass(frozen=True, slots=True)
class CandidateTiming:
    """How long a candidate took.

    ``train_seconds`` are those of all folds and the final training, ``milliseconds_per_image`` the time for predicting
    one image, ``milliseconds_per_step`` the mean time of a training step, the judging of its epoch included.
    """

    train_seconds: float
    milliseconds_per_image: float | None
    milliseconds_per_step: float | None = None


@dataclass(frozen=True, slots=True)
class Timings:
    """The whole of ``timings.json``: what varies from run to run.

    ``forecast_seconds`` and ``forecast_bytes`` were said before the start; ``total_seconds`` were measured. ``stages``
    maps a stage to its seconds, ``features`` a backbone, ``candidates`` a candidate id to their times.
    """

    forecast_seconds: float | None
    forecast_bytes: int | None
    total_seconds: float
    stages: dict[str, float] = field(default_factory=dict)
    features: dict[str, FeatureTiming] = field(default_factory=dict)
    candidates: dict[str, CandidateTiming] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Environment:
    """The whole of ``environment.json``: where a study ran.

    ``packages`` maps a package to its version; ``command`` is the command line to give again.
    """

    headstart: str
    python: str
    system: str
    processor: str
    cores: int
    memory_bytes: int | None
    backend: str
    engine: str
    command: str
    packages: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of ``log.jsonl``: UTC time as ISO 8601, what happened, and its details."""

    time: str
    event: str
    details: dict[str, Any]
