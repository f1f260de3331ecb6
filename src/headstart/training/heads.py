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


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """One pass over one set of images, as Keras shows it.

    ``loss`` is the mean cross-entropy in nats plus the L2 penalty; the others are in 0..1. Precision and recall are
    micro-averaged at the threshold 0.5 (``keras.metrics.Precision()`` on one-hot labels; 0 when nothing passes the
    threshold). ``top_k`` looks for the true class among the first k = ``top_k_size(classes)``; None for two classes.
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
    """One training asked for. ``train`` and ``validation`` are row numbers of the features or pixels.

    Jobs with equal seeds start from the same head, see the same batches and drop the same units.
    """

    key: str
    head: recipe.Head
    optimizer: recipe.Optimizer
    schedule: recipe.Schedule
    batch_size: int
    epochs: int
    patience: int
    train: Rows
    validation: Rows | None
    order_seed: int
    init_seed: int
    dropout_seed: int


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
        best_epoch: from 1: the first with the best monitor; without validation images the last one. Epochs whose loss
            or weights are not finite are passed over; when all are, this is 1 and the weights are the initial ones.
        weights: of the best epoch: kernel ``(inputs, units)``, bias ``(units,)``, kernel, bias, ... of the head.
        validation_logits: ``(validation images, classes)`` at the best epoch, or None.
        best, last: the scores of the best epoch's weights, and of the last epoch's.
        backbone_weights: of the best epoch, in the network's order; empty when the backbone was frozen.
    """

    key: str
    history: tuple[EpochRow, ...]
    best_epoch: int
    weights: tuple[Floats, ...]
    validation_logits: Floats | None
    best: Scores
    last: Scores
    backbone_weights: tuple[NDArray[Any], ...] = ()


def batch_order(order_seed: int, epoch: int, rows: int) -> Rows:
    """Return the order of ``rows`` rows in an epoch (from 1): a permutation of 0 to rows - 1."""
    return np.random.default_rng([order_seed, epoch]).permutation(rows)


def layer_sizes(head: recipe.Head, inputs: int, classes: int) -> tuple[tuple[int, int], ...]:
    """Return (inputs, units) of every dense layer of a head."""
    return tuple(pairwise((inputs, *head.dense, classes)))


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
    dropout = [f"dropout {head.dropout:g}"] if head.dropout else []
    words = [f"{head.pooling} pooling"]
    for units in head.dense:
        words += [f"dense {units}", *dropout]
    words += [] if head.dense else dropout
    words.append(f"softmax {classes}")
    return ", ".join(words + ([f"L2 {head.l2:g}"] if head.l2 else []))


def forward(weights: Sequence[Floats], features: Floats) -> Floats:
    """Return the logits ``(images, classes)`` of features ``(images, inputs)``; nothing is dropped."""
    values = np.asarray(features)
    for layer in range(0, len(weights), 2):
        values = (np.maximum(values, 0) if layer else values) @ weights[layer] + weights[layer + 1]
    return values


def softmax(logits: NDArray[Any]) -> NDArray[Any]:
    """Return probabilities of the same shape and dtype; the last axis sums to 1."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: NDArray[Any] = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


def penalty(weights: Sequence[Floats], l2: float) -> float:
    """Return ``l2`` times the sum of all squared kernels (not biases), as ``keras.regularizers.L2``."""
    return l2 * sum(float(np.vdot(kernel, kernel)) for kernel in weights[::2]) if l2 else 0.0


def top_k_size(classes: int) -> int | None:
    """Return the k of ``top_k``: the largest of 2, 3, 5 below the number of classes, or None."""
    return max((k for k in (2, 3, 5) if k < classes), default=None)
