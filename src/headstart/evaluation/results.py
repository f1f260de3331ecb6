"""The results of candidates as frozen dataclasses: parts of ``summary.json``, key for key.

``storage.to_plain`` writes them (a field ``class_`` becomes the key ``class``), ``storage.from_plain`` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ClassResult:
    """One class against the rest. Ratios are in 0..1, or None where their denominator is zero.

    ``intervals`` maps recall, precision, specificity, f1 and auc to their 95 % intervals, where they were computed.
    """

    class_: str
    support: int
    tp: int
    tn: int
    fp: int
    fn: int
    precision: float | None
    recall: float | None
    specificity: float | None
    accuracy: float
    f1: float | None
    auc: float | None
    average_precision: float | None
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Averages:
    """A mean of the per-class values over the classes in which they exist."""

    precision: float | None
    recall: float | None
    specificity: float | None
    f1: float | None
    auc: float | None
    average_precision: float | None


@dataclass(frozen=True, slots=True)
class MacroWeighted:
    """Per-class values averaged equally (macro) and by support (weighted)."""

    macro: Averages
    weighted: Averages


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How one model does on one set of images.

    ``loss`` is the mean categorical cross-entropy in nats. ``top_k`` maps "2", "3", "5" (below the number of classes)
    to a share in 0..1. ``confusion_matrix`` has a row per true class and a column per predicted class, in the order of
    ``dataset.classes``. ``intervals`` maps a measure to its 95 % interval: accuracy (Wilson), and where they were drawn
    balanced_accuracy, f1 and auc (the macro averages) and loss (``evaluation.bootstrap``). All are about this one
    classifier on images like these. ``precision_at_half`` and ``recall_at_half`` are Keras' micro-averaged ones: a
    class is named when its probability is above 0.5.
    """

    accuracy: float
    loss: float
    top_k: dict[str, float]
    balanced_accuracy: float
    confusion_matrix: tuple[tuple[int, ...], ...]
    per_class: tuple[ClassResult, ...]
    averages: MacroWeighted
    intervals: dict[str, tuple[float, float]]
    precision_at_half: float | None = None
    recall_at_half: float | None = None


@dataclass(frozen=True, slots=True)
class FoldValues:
    """One measure over all folds of all repeats, each scored as ``ProtocolSummary.score_epoch`` says.

    ``ci95`` is about the mean of this training procedure over training sets of this size (Nadeau and Bengio), except
    that the accuracy of a single fold, or of folds that all agree, has Wilson's over its validation images. None where
    there is none. ``last_epoch_mean`` is the mean at the last epoch trained.
    """

    folds: tuple[float, ...]
    mean: float
    std: float | None
    ci95: tuple[float, float] | None
    last_epoch_mean: float


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """The folds' values of one candidate, each where it is scored: see ``ProtocolSummary.score_epoch``.

    ``best_epochs`` are the epochs of these scores, from 1: with ``score_epoch`` = ``last`` those at which the training
    ended. ``chosen`` has the values of the measure that chooses; None where that is accuracy or loss.
    """

    accuracy: FoldValues
    loss: FoldValues
    train_accuracy: FoldValues
    train_loss: FoldValues
    best_epochs: tuple[int, ...]
    chosen: FoldValues | None = None


@dataclass(frozen=True, slots=True)
class ParameterCounts:
    """Numbers of weights as Keras counts them; ``per_phase`` are the trainable ones of each phase."""

    trainable: int
    non_trainable: int
    total: int
    per_phase: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CandidateResult:
    """One candidate and how its folds went; ``status`` is ``done``, or ``failed`` or ``skipped`` with a reason."""

    id: str
    backbone: str
    head: str
    cut: str
    settings: dict[str, Any]
    status: str
    reason: str | None
    parameters: ParameterCounts | None
    size_bytes: int | None
    cv: CrossValidation | None


@dataclass(frozen=True, slots=True)
class FinalResult:
    """A candidate trained again on all training images for ``epochs``, and evaluated once on the test images.

    ``attempts`` counts the final trainings: more than one where the loss of the first was far above that of the folds.
    ``loss_ratio`` is the training loss of the one kept over the worst fold's at its end; None where neither was trained
    in epochs.
    """

    candidate: str
    epochs: int
    train: Evaluation
    validation: Evaluation | None
    test: Evaluation
    attempts: int = 1
    loss_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """The images of the study; ``counts`` maps split to class to number of images."""

    path: str
    fingerprint: str
    classes: tuple[str, ...]
    images: int
    set_aside: int
    counts: dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class ProtocolSummary:
    """How the candidates were judged; ``test_openings`` counts how often the test set was looked at.

    ``choose_by`` is the measure that chose (see ``evaluation.choosing``), ``monitor`` the nearer of accuracy and loss.
    ``score_epoch``: folds are scored at the ``last`` epoch of their procedure or at their ``best`` on the validation
    images.
    """

    kind: str
    folds: int | None
    repeats: int
    monitor: str
    finals: str
    seed: int
    test_openings: int
    choose_by: str = ""
    score_epoch: str = "best"

    @property
    def measure(self) -> str:
        """The name of the measure that chose, also of older runs."""
        return self.choose_by or self.monitor


@dataclass(frozen=True, slots=True)
class Comparison:
    """A test of two candidates on the same images; ``difference`` is a minus b."""

    a: str
    b: str
    on: str
    method: str
    measure: str
    difference: float
    unit: str
    ci95: tuple[float, float] | None
    p_value: float | None
    p_adjusted: float | None
    posterior: dict[str, float] | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Published:
    """A published number beside the one found here; ``difference`` is here minus published, None as ``here`` is."""

    candidate: str
    metric: str
    part: str
    published: float
    here: float | None
    difference: float | None
