"""The recipe: every setting of a study, frozen, typed, checked and hashed.

This module knows words and numbers only. What a network alone can know (layer names, smallest size) and what the
images alone can tell (classes) is checked later, by ``study.plan``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from headstart import storage
from headstart.errors import UsageError, did_you_mean

RESIZE_RULES = ("stretch", "crop", "pad")
OPTIMIZERS = ("adam", "sgd")
SCHEDULES = ("constant", "steps", "inverse_time", "cosine")
MONITORS = ("accuracy", "loss")
FINALS = ("best", "per_backbone", "all")
WEIGHTS = ("imagenet", "random")
TRAINABLE = ("none", "all")
PRECISIONS = ("f32", "bf16")


@dataclass(frozen=True, slots=True)
class DataRules:
    """How a folder becomes images: resize rule and grouping.

    ``group_by`` is empty, ``folder``, ``exif-burst`` or a regular expression on the path, whose first group (or whole
    match) names the group.
    """

    resize: str = "stretch"
    group_by: str = ""


@dataclass(frozen=True, slots=True)
class Protocol:
    """How candidates are judged.

    ``kind`` is ``folds`` or ``holdout``. ``test_fraction`` is the sealed share of every class. ``holdout`` is the share
    of the training images that validates when ``kind`` is ``holdout`` and no validation images are given.
    """

    kind: str = "folds"
    folds: int = 5
    holdout: float = 0.2
    repeats: int = 1
    test_fraction: float = 0.2
    monitor: str = "accuracy"
    finals: str = "per_backbone"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Optimizer:
    """Keras' Adam or SGD with Keras' default constants."""

    name: str = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.0
    nesterov: bool = False
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7


@dataclass(frozen=True, slots=True)
class Schedule:
    """A factor on the learning rate.

    ``constant``: 1. ``steps``: multiplied by ``factor`` after every ``every`` epochs. ``inverse_time``:
    1 / (1 + factor * step). ``cosine``: from 1 down to 0 over all steps of all epochs.
    """

    kind: str = "constant"
    factor: float = 0.1
    every: int = 5


@dataclass(frozen=True, slots=True)
class Head:
    """The new classifier layers: pooling, then dense layers each followed by dropout, then a softmax output.

    ``dropout`` (share of units dropped, 0 to below 1) stands before the output and after each hidden dense layer.
    ``l2`` is the factor on the sum of squared kernels of every dense layer, output included.
    """

    pooling: str = "average"
    dense: tuple[int, ...] = ()
    activation: str = "relu"
    dropout: float = 0.0
    l2: float = 0.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """One complete setting.

    ``trainable`` says how much of the backbone trains: ``none`` (the head alone) or ``all``. ``image_size`` is the side
    in pixels, or 0 for the backbone's default. ``patience`` is the number of epochs without a better monitor after
    which training stops, or 0 for never.
    """

    backbone: str
    weights: str = "imagenet"
    trainable: str = "none"
    image_size: int = 0
    head: Head = field(default_factory=Head)
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    batch_size: int = 32
    epochs: int = 20
    patience: int = 0

    @property
    def is_control(self) -> bool:
        """Whether this is a frozen backbone with random weights, which shows what pretraining is worth."""
        return self.weights == "random" and self.trainable == "none"

    @property
    def network(self) -> str:
        """The readable name of the network: backbone, and whether it is a control."""
        return self.backbone + ("-random" if self.is_control else "")

    @property
    def id(self) -> str:
        """The readable name used in every table: network and learning rate."""
        return f"{self.network}-lr{self.optimizer.learning_rate:g}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides a study's numbers, except the images and the pretrained weights."""

    candidates: tuple[Candidate, ...]
    data: DataRules = field(default_factory=DataRules)
    protocol: Protocol = field(default_factory=Protocol)
    precision: str = "f32"

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise UsageError("\n".join(problems))

    def to_toml(self) -> str:
        """Return the recipe as TOML text with every setting resolved."""
        import tomli_w

        plain: dict[str, Any] = storage.to_plain(self)
        plain["candidate"] = plain.pop("candidates")
        return tomli_w.dumps(plain)


def _problems(recipe: Recipe) -> list[str]:
    """Return every problem of a recipe, one line each."""
    protocol = recipe.protocol
    problems = [
        *_choice("resize", recipe.data.resize, RESIZE_RULES),
        *_choice("precision", recipe.precision, PRECISIONS),
        *_choice("monitor", protocol.monitor, MONITORS),
        *_choice("finals", protocol.finals, FINALS),
        *_choice("protocol", protocol.kind, ("folds", "holdout")),
        *_range("folds", protocol.folds, 2, 100),
        *_range("repeats", protocol.repeats, 1, 1000),
        *_fraction("holdout", protocol.holdout),
        *_fraction("test-fraction", protocol.test_fraction),
        *_range("seed", protocol.seed, 0, 2**31 - 1),
    ]
    if not recipe.candidates:
        problems.append("There is no candidate. Name at least one backbone and one learning rate.")
    for candidate in recipe.candidates:
        problems += _candidate_problems(candidate)
    ids = [candidate.id for candidate in recipe.candidates]
    for twice in sorted({name for name in ids if ids.count(name) > 1}):
        problems.append(f"Candidate {twice!r} is there twice. Leave one of them out.")
    return list(dict.fromkeys(problems))


def _candidate_problems(candidate: Candidate) -> list[str]:
    optimizer, head = candidate.optimizer, candidate.head
    problems = [
        *_choice("weights", candidate.weights, WEIGHTS),
        *_choice("trainable", candidate.trainable, TRAINABLE),
        *_choice("optimizer", optimizer.name, OPTIMIZERS),
        *_choice("schedule", candidate.schedule.kind, SCHEDULES),
        *_choice("pooling", head.pooling, ("average",)),
        *_choice("activation", head.activation, ("relu",)),
        *_range("epochs", candidate.epochs, 1, 100_000),
        *_range("batch-size", candidate.batch_size, 1, 1_000_000),
        *_range("patience", candidate.patience, 0, 100_000),
        *_range("schedule-every", candidate.schedule.every, 1, 100_000),
    ]
    if not 0 < optimizer.learning_rate <= 1000:
        problems.append(f"learning-rates must be above 0 and at most 1000. Received: {optimizer.learning_rate:g}.")
    if not 0 <= optimizer.momentum < 1:
        problems.append(f"momentum must be at least 0 and below 1. Received: {optimizer.momentum:g}.")
    if optimizer.name == "adam" and (optimizer.momentum or optimizer.nesterov):
        problems.append("momentum and nesterov belong to --optimizer sgd. Leave them out, or choose sgd.")
    if not 0 <= head.dropout < 1:
        problems.append(f"dropout must be at least 0 and below 1. Received: {head.dropout:g}.")
    if not 0 <= head.l2 < math.inf:
        problems.append(f"l2 must be a number, 0 or above. Received: {head.l2:g}.")
    if not 0 <= candidate.schedule.factor < math.inf:
        problems.append(f"schedule-factor must be a number, 0 or above. Received: {candidate.schedule.factor:g}.")
    problems += [f"dense sizes must be at least 1. Received: {units}." for units in head.dense if units < 1]
    if candidate.image_size and not 8 <= candidate.image_size <= 4096:
        problems.append(f"image-size must be between 8 and 4096 pixels. Received: {candidate.image_size}.")
    return problems


def _choice(name: str, received: str, allowed: tuple[str, ...]) -> list[str]:
    if received in allowed:
        return []
    hint = did_you_mean(received, allowed)
    return [f"{name} must be one of {', '.join(allowed)}. Received: {received!r}.{hint}"]


def _range(name: str, received: int, low: int, high: int) -> list[str]:
    if low <= received <= high:
        return []
    return [f"{name} must be between {low} and {high}. Received: {received}."]


def _fraction(name: str, received: float) -> list[str]:
    if 0 < received < 1:
        return []
    return [f"{name} must be above 0 and below 1. Received: {received:g}."]
