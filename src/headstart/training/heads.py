"""The head: its weights, what it computes, and the frozen types in which trainings are asked for and handed back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart import recipe

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

# Keras' epsilon: what its cross-entropy takes the smallest probability to be.
SMALLEST_SIGMOID = np.float32(recipe.SMALLEST_SIGMOID)


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """One pass over one set of images, as Keras shows it.

    ``loss`` is the mean cross-entropy in nats plus the L2 penalty, without label smoothing and class weights: those of
    any two trainings can be compared. The others are in 0..1. Precision and recall are micro-averaged at the threshold
    0.5 (``keras.metrics.Precision()`` on one-hot labels; 0 when nothing passes the threshold). ``top_k`` looks for the
    true class among the first k = ``top_k_size(classes)``; None for two classes.
    """

    loss: float
    accuracy: float
    precision: float | None
    recall: float | None
    top_k: float | None


@dataclass(frozen=True, slots=True)
class EpochRow:
    """One epoch of one training; ``epoch`` counts from 1, ``learning_rate`` is that of the epoch's first step."""

    phase: int
    epoch: int
    learning_rate: float
    train: EpochMetrics
    validation: EpochMetrics | None


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One training asked for. ``train``, ``validation`` and ``watch`` are row numbers of the features or pixels.

    Jobs with equal seeds start from the same head, see the same batches and drop the same units.

    Attributes:
        epochs: of all phases together; fewer than the settings say cut the last phases short.
        fresh: operations that change the training pixels anew in every epoch (``data.augment``), by ``augment_seed``.
        penalty: of a logistic head; 0: it is chosen inside the training images.
        groups: the number of every training image's group, ``(images,)``; None: each is alone.
        watch: who decides which epoch is kept and when to stop; None: nobody, the last epoch is kept.
        versions: how often every training image stands in ``train``, which is that many runs over the same images in
            the same order (the originals, then every changed copy). Says what must not be parted within a fold.
    """

    key: str
    head: recipe.Head
    settings: recipe.Training
    epochs: int
    train: Rows
    validation: Rows | None
    order_seed: int
    init_seed: int
    dropout_seed: int
    fresh: tuple[str, ...] = ()
    augment_seed: int = 0
    penalty: float = 0.0
    groups: Rows | None = None
    watch: Rows | None = None
    versions: int = 1

    @property
    def optimizer(self) -> recipe.Optimizer:
        """The optimiser, with the learning rate of the first phase."""
        return self.settings.optimizer

    @property
    def schedule(self) -> recipe.Schedule:
        """The schedule of the first phase."""
        return self.settings.schedule

    @property
    def batch_size(self) -> int:
        """Images per step."""
        return self.settings.batch_size

    @property
    def patience(self) -> int:
        """Epochs without a better one after which training stops; 0: never."""
        return self.settings.patience


@dataclass(frozen=True, slots=True)
class Scores:
    """How the weights of one epoch do when nothing trains: no dropout, and a loss without the L2 penalty."""

    epoch: int
    train: EpochMetrics
    validation: EpochMetrics | None


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """One finished training.

    Attributes:
        history: one row per epoch trained.
        best_epoch: from 1: whose weights are kept, the first that is best on the images of ``Job.watch``; without them
            the last one. Epochs whose loss or weights are not finite are passed over; when all are, this is 1 and the
            weights are the initial ones. Where weights were averaged, the last epoch.
        weights: that are kept: kernel ``(inputs, units)``, bias ``(units,)``, kernel, bias, ... of the head.
        validation_logits: ``(validation images, classes)`` under the weights kept, see ``output_logits``; or None.
        best, last: the scores of the weights kept, and of the last epoch's.
        penalty: that a logistic head chose or was given; 0 of others.
        backbone_weights: that are kept: the values of ``features.cut.tail_variables``; empty when the backbone was
            frozen.
    """

    key: str
    history: tuple[EpochRow, ...]
    best_epoch: int
    weights: tuple[Floats, ...]
    validation_logits: Floats | None
    best: Scores
    last: Scores
    backbone_weights: tuple[NDArray[Any], ...] = ()
    penalty: float = 0.0


def batch_order(order_seed: int, epoch: int, rows: int) -> Rows:
    """Return the order of ``rows`` rows in an epoch (from 1): a permutation of 0 to rows - 1."""
    return np.random.default_rng([order_seed, epoch]).permutation(rows)


def layer_sizes(head: recipe.Head, inputs: int, classes: int) -> tuple[tuple[int, int], ...]:
    """Return (inputs, units) of every dense layer of a head."""
    return tuple(pairwise((inputs, *(layer.units for layer in head.dense_layers(classes)))))


def initial_weights(head: recipe.Head, *, inputs: int, classes: int, seed: int) -> tuple[Floats, ...]:
    """Return kernel, bias, kernel, bias, ...: Keras' defaults.

    Kernels are uniform in +-sqrt(6 / (inputs + units)) (Glorot and Bengio 2010, formula 16), biases zero.
    """
    weights: list[Floats] = []
    for layer, (rows, units) in enumerate(layer_sizes(head, inputs, classes)):
        limit = np.float32(math.sqrt(6 / (rows + units)))
        drawn = np.random.default_rng([seed, layer]).random((rows, units), dtype=np.float32)
        weights += [(2 * drawn - 1) * limit, np.zeros(units, np.float32)]
    return tuple(weights)


def parameter_count(head: recipe.Head, *, inputs: int, classes: int) -> int:
    """Return the number of weights of a head."""
    return sum((rows + 1) * units for rows, units in layer_sizes(head, inputs, classes))


def describe(head: recipe.Head, classes: int) -> str:
    """Return a head in words, such as ``average pooling, dense 128, dropout 0.2, softmax 5``."""
    output = f"{head.output} {classes}" + (f" l2 {head.l2:g}" if head.l2 else "")
    return ", ".join([f"{head.pooling} pooling", *head.layers, output])


def forward(head: recipe.Head, weights: Sequence[Floats], features: Floats) -> Floats:
    """Return the logits ``(images, classes)`` of features ``(images, inputs)``; nothing is dropped.

    Logits are such that their softmax is the probabilities of the classes, also for a sigmoid output.
    """
    values = np.asarray(features)
    for number, layer in enumerate(head.dense_layers(len(weights[-1]))):
        values = activate(layer.activation, values @ weights[2 * number] + weights[2 * number + 1])
    return output_logits(head, values)


def activate(activation: str, values: Floats) -> Floats:
    """Apply ``relu``, ``tanh`` or ``linear`` to values that belong to the caller; they may be overwritten."""
    if activation == "relu":
        return np.maximum(values, 0, out=values)
    return np.tanh(values, out=values) if activation == "tanh" else values


def output_logits(head: recipe.Head, values: Floats) -> Floats:
    """Return the logits whose softmax is the probabilities, from what the last dense layer gives, of any shape.

    For a sigmoid output they are the logarithms of the sigmoids, clipped to 1e-7 .. 1 - 1e-7: the probabilities are
    then the sigmoids over their sum, as Keras' ``sparse_categorical_crossentropy`` takes them. (On TensorFlow, Keras
    3.15 does so unless it is handed the output of the activation itself: then it goes back to the values before.)
    """
    if head.output != "sigmoid":
        return values
    return np.log(np.clip(sigmoid(values), SMALLEST_SIGMOID, 1 - SMALLEST_SIGMOID))


def sigmoid(values: Floats) -> Floats:
    """Return 1 / (1 + exp(-values)), of the same shape."""
    # beyond 30 nothing changes that float32 or the clipping could show, and exp would overflow
    powers: Floats = np.exp(-np.clip(values, -30, 30))
    return np.reciprocal(powers + 1)


def softmax(logits: NDArray[Any]) -> NDArray[Any]:
    """Return probabilities of the same shape and dtype; the last axis sums to 1."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: NDArray[Any] = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


def penalty(head: recipe.Head, weights: Sequence[Floats]) -> float:
    """Return the sum, over the dense layers, of L2 factor times squared kernel (not bias), as Keras' ``L2`` has it."""
    layers = zip(head.dense_layers(len(weights[-1])), weights[::2], strict=True)
    return sum((layer.l2 * float(np.vdot(kernel, kernel)) for layer, kernel in layers if layer.l2), 0.0)


def class_weights(settings: recipe.Training, labels: NDArray[np.integer[Any]], classes: int) -> Floats | None:
    """Return the factor ``(classes,)`` on every class's images in the loss, or None where all count the same.

    ``balanced``: images / (classes * images of the class), scikit-learn's rule; a class without images gets 0.

    Args:
        labels: class index of every training image ``(images,)``.
    """
    if settings.class_weights == "none":
        return None
    counts = np.bincount(labels, minlength=classes)
    weights = len(labels) / (classes * np.maximum(counts, 1))
    return np.where(counts, weights, 0).astype(np.float32)


def smoothed_targets(settings: recipe.Training, classes: int) -> Floats:
    """Return the target probabilities ``(classes, classes)`` of an image of every class, as Keras smooths labels."""
    one_hot = np.eye(classes, dtype=np.float32)
    return one_hot * np.float32(1 - settings.label_smoothing) + np.float32(settings.label_smoothing / classes)


def top_k_size(classes: int) -> int | None:
    """Return the k of ``top_k``: the largest of 2, 3, 5 below the number of classes, or None."""
    return max((k for k in (2, 3, 5) if k < classes), default=None)
