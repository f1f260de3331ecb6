"""What the parts of a recipe may be. Every problem is one line that begins with its key."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from headstart.errors import did_you_mean
from headstart.recipe.cuts import is_cut
from headstart.recipe.parts import (
    DECISION,
    DENSE,
    DROPOUT,
    FLOAT,
    Augmentation,
    Candidate,
    DataRules,
    Head,
    Optimizer,
    Phase,
    Protocol,
    Schedule,
    Training,
)

RESIZE_RULES = ("stretch", "crop", "pad")
INTERPOLATIONS = ("bilinear", "bicubic", "nearest")
OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop")
SCHEDULES = ("constant", "steps", "inverse_time", "cosine")
MEASURES = ("accuracy", "balanced_accuracy", "macro_f1", "auc", "loss", "cost")
SCORE_EPOCHS = ("last", "best")
FINALS = ("best", "per_backbone", "all")
WEIGHTS = ("imagenet", "random")
PRECISIONS = ("f32", "bf16")
POOLINGS = ("average", "max", "flatten")
OUTPUTS = ("softmax", "sigmoid", "logistic")
NORMALIZATIONS = ("training", "inference")
PREPROCESSINGS = ("own", "unit", "none")
COLOURS = ("rgb", "grey")
CLASS_WEIGHTS = ("none", "balanced")
OPTIMIZER_STATES = ("reset", "keep")
MOST_NAMED = 3
OPERATION = re.compile(rf"flip|flip both|(?:rotation|zoom|shift|contrast|brightness) {FLOAT}")

MOST = {"rotation": 1.0, "zoom": 0.95, "shift": 4096.0, "contrast": 1.0, "brightness": 1.0}
"""The largest amount of each operation: a whole turn, almost nothing left of the picture, pixels, all contrast."""


def data_problems(data: DataRules) -> list[str]:
    """Return what is wrong with the data rules."""
    problems = [
        *_choice("data.resize", data.resize, RESIZE_RULES),
        *_choice("data.interpolation", data.interpolation, INTERPOLATIONS),
        *_range("data.limit", data.limit, 0, 2**31 - 1),
        *_range("data.min_images_per_class", data.min_images_per_class, 0, 2**31 - 1),
    ]
    if not data.antialias and data.interpolation != "bilinear":
        problems.append("data.antialias = false belongs to bilinear interpolation. Leave it out, or choose bilinear.")
    return problems


def protocol_problems(protocol: Protocol) -> list[str]:
    """Return what is wrong with the protocol."""
    return [
        *_choice("protocol.kind", protocol.kind, ("folds", "holdout")),
        *_choice("protocol.choose_by", protocol.choose_by, MEASURES),
        *_choice("protocol.score_epoch", protocol.score_epoch, SCORE_EPOCHS),
        *_choice("protocol.finals", protocol.finals, FINALS),
        *(_range("protocol.folds", protocol.folds, 2, 100) if protocol.folds else ()),
        *_range("protocol.repeats", protocol.repeats, 1, 1000),
        *_range("protocol.final_epochs", protocol.final_epochs, 0, 100_000),
        *_fraction("protocol.holdout", protocol.holdout),
        *_fraction("protocol.test_fraction", protocol.test_fraction),
        *_range("protocol.seed", protocol.seed, 0, 2**31 - 1),
        *_fraction("protocol.equivalence", protocol.equivalence),
        *_decision_problems(protocol.decide),
        *_choice_problems(protocol),
    ]


def _choice_problems(protocol: Protocol) -> Iterator[str]:
    if protocol.choose_by == "cost" and not any(text.startswith("cost ") for text in protocol.decide):
        yield "protocol.choose_by = 'cost' needs costs of errors. Give some in protocol.decide, or choose otherwise."
    if not 0 <= protocol.budget < math.inf:
        yield f"protocol.budget must be seconds, 0 or above. Received: {protocol.budget:g}."


def _decision_problems(decide: Sequence[str]) -> Iterator[str]:
    seen = set()
    for place, text in enumerate(decide):
        key, match = f"protocol.decide[{place}]", DECISION.fullmatch(text)
        if not match:
            yield (
                f"{key} must be 'precision CLASS SHARE', 'recall CLASS SHARE' or 'cost TRUE:PREDICTED NUMBER'. "
                f"Received: {text!r}."
            )
            continue
        kind, name, value = match[1], match[2], float(match[3])
        if kind != "cost" and not 0 < value < 1:
            yield f"{key}: a {kind} must be above 0 and below 1. Received: {value:g}."
        if kind == "cost" and ":" not in name:
            yield f"{key}: a cost needs two classes, TRUE:PREDICTED. Received: {name!r}."
        if (kind == "cost", name) in seen:
            yield f"{key}: {name!r} is there twice. Give one {'cost' if kind == 'cost' else 'target'} for it."
        seen.add((kind == "cost", name))
    if {cost for cost, _ in seen} == {True, False}:
        yield "protocol.decide: targets and costs exclude each other. Give one kind."


def average_problems(protocol: Protocol, candidates: Sequence[Candidate]) -> Iterator[str]:
    """Say where averaged weights are asked for, and those of the best epoch too."""
    if protocol.score_epoch == "best" and any(one.train.average for one in candidates):
        yield "train.average keeps a mean of the last epochs, protocol.score_epoch = 'best' one of them. Give one."


def precision_problems(precision: str) -> list[str]:
    """Return what is wrong with the arithmetic asked for."""
    return _choice("precision", precision, PRECISIONS)


def candidates_problems(candidates: Sequence[Candidate]) -> list[str]:
    """Return what is wrong with the candidates, each and together."""
    if not candidates:
        return ["candidate: there is none. Name at least one backbone and one learning rate."]
    return [*each_problems(candidates), *twin_problems(candidates)]


def each_problems(
    candidates: Sequence[Candidate], problems_of: Callable[[Candidate], Iterable[str]] | None = None
) -> list[str]:
    """Return what is wrong with each of the candidates; a line says whose it is unless it is everyone's.

    Args:
        problems_of: what finds the problems of one; by default ``candidate_problems``.
    """
    owners: dict[str, list[str]] = {}
    for one in candidates:
        for line in dict.fromkeys((problems_of or candidate_problems)(one)):
            owners.setdefault(line, []).append(one.id)
    return [line if len(ids) == len(candidates) else f"{line} ({_named(ids)})" for line, ids in owners.items()]


def _named(ids: Sequence[str]) -> str:
    """Return the first few names of candidates in a few words."""
    more = f" and {len(ids) - MOST_NAMED} more" if len(ids) > MOST_NAMED else ""
    return f"candidate{'s' if len(ids) > 1 else ''} {', '.join(ids[:MOST_NAMED])}{more}"


def twin_problems(candidates: Sequence[Candidate]) -> Iterator[str]:
    """Say which candidates bear one name, or are one setting under two names."""
    settings: dict[str, str] = {}
    names: set[str] = set()
    for one in candidates:
        plain = repr(dataclasses.replace(one, name=""))
        if one.id in names:
            yield f"candidate: {one.id!r} is there twice. Leave one of them out, or give it another name."
        elif plain in settings:
            yield f"candidate: {settings[plain]!r} and {one.id!r} are equal. Leave one of them out, or change it."
        names.add(one.id)
        settings.setdefault(plain, one.id)


def candidate_problems(candidate: Candidate) -> list[str]:
    """Return what is wrong with one candidate, as far as words and numbers tell."""
    problems = [
        *_choice("weights", candidate.weights, WEIGHTS),
        *_choice("preprocessing", candidate.preprocessing, PREPROCESSINGS),
        *_choice("colour", candidate.colour, COLOURS),
        *_head(candidate.head),
        *_training(candidate.train),
        *_augmentation(candidate.augmentation),
    ]
    if candidate.name != candidate.name.strip() or not candidate.name.isprintable():
        problems.append(f"name must be one line without spaces around it. Received: {candidate.name!r}.")
    if candidate.image_size and not 8 <= candidate.image_size <= 4096:
        problems.append(f"image_size must be between 8 and 4096 pixels. Received: {candidate.image_size}.")
    if candidate.head.output == "logistic" and (candidate.tunes or candidate.train.phases):
        problems.append("head.output = 'logistic' needs a frozen backbone and one phase. Leave out train.trainable.")
    if candidate.head.output == "logistic" and candidate.augmentation.fresh:
        problems.append(
            "augmentation.fresh changes images in every epoch; head.output = 'logistic' has none. Use views."
        )
    return problems


def _head(head: Head) -> list[str]:
    problems = [*_choice("head.pooling", head.pooling, POOLINGS), *_choice("head.output", head.output, OUTPUTS)]
    before = ""
    for text in head.layers:
        dense, dropout = DENSE.fullmatch(text), DROPOUT.fullmatch(text)
        if not dense and not dropout:
            problems.append(
                "head.layers must hold texts such as 'dense 64', 'dense 64 l2 0.01' or 'dropout 0.5'. "
                f"Received: {text!r}."
            )
        if dense and not 1 <= int(dense[1]) <= 2**20:
            problems.append(f"head.layers: dense units must be between 1 and 1048576. Received: {text!r}.")
        if dense and dense[3] and float(dense[3]) == math.inf:
            problems.append(f"head.layers: l2 must be a number, 0 or above. Received: {text!r}.")
        if dropout and not 0 <= float(dropout[1]) < 1:
            problems.append(f"head.layers: dropout must be at least 0 and below 1. Received: {text!r}.")
        if dropout and before.startswith("dropout"):
            problems.append(f"head.layers: {before!r} is followed by {text!r}. Make them one.")
        before = text
    if head.layers and head.output == "logistic":
        problems.append("head.output = 'logistic' has no other layers. Leave out head.layers, or use softmax.")
    if head.l2 and head.output == "logistic":
        problems.append("head.l2 has no effect with head.output = 'logistic', which chooses its own. Leave it out.")
    if not 0 <= head.l2 < math.inf:
        problems.append(f"head.l2 must be a number, 0 or above. Received: {head.l2:g}.")
    return problems


def _training(train: Training) -> list[str]:
    problems = [
        *_range("train.epochs", train.epochs, 1, 100_000),
        *_range("train.batch_size", train.batch_size, 1, 1_000_000),
        *_range("train.patience", train.patience, 0, 100_000),
        *_choice("train.class_weights", train.class_weights, CLASS_WEIGHTS),
        *_cut("train", train.trainable, train.batch_normalization),
        *_schedule("train", train.schedule),
        *_optimizer(train.optimizer),
    ]
    if not 0 <= train.average < 1:
        problems.append(f"train.average must be at least 0 and below 1. Received: {train.average:g}.")
    if train.average and set(train.cuts) == {"none"}:
        problems.append("train.average is for layers of the backbone that train. Leave it out, or train some.")
    if train.average and train.patience:
        problems.append("train.average and train.patience exclude each other: both say which weights are kept.")
    if not 0 <= train.label_smoothing < 1:
        problems.append(f"train.label_smoothing must be at least 0 and below 1. Received: {train.label_smoothing:g}.")
    for number, phase in enumerate(train.phases):
        problems += _phase(f"train.phases[{number}]", phase)
    return problems


def _phase(key: str, phase: Phase) -> list[str]:
    problems = [
        *_range(f"{key}.epochs", phase.epochs, 1, 100_000),
        *_cut(key, phase.trainable, phase.batch_normalization),
        *_schedule(key, phase.schedule),
        *_choice(f"{key}.optimizer_state", phase.optimizer_state, OPTIMIZER_STATES),
    ]
    if not 0 <= phase.learning_rate <= 1000:
        problems.append(
            f"{key}.learning_rate must be above 0 and at most 1000, or 0 for that of the phase before. "
            f"Received: {phase.learning_rate:g}."
        )
    return problems


def _cut(key: str, trainable: str, batch_normalization: str) -> list[str]:
    problems = _choice(f"{key}.batch_normalization", batch_normalization, NORMALIZATIONS)
    if not is_cut(trainable):
        problems.append(
            f"{key}.trainable must be none, all, 'last N', 'from N' or 'from LAYER'. Received: {trainable!r}."
            f"{did_you_mean(trainable, ('none', 'all', 'last 4', 'from 4'))}"
        )
    return problems


def _schedule(key: str, schedule: Schedule) -> list[str]:
    problems = [
        *_choice(f"{key}.schedule.kind", schedule.kind, SCHEDULES),
        *_range(f"{key}.schedule.every", schedule.every, 1, 100_000),
    ]
    if not 0 <= schedule.factor < math.inf:
        problems.append(f"{key}.schedule.factor must be a number, 0 or above. Received: {schedule.factor:g}.")
    return problems


def _optimizer(optimizer: Optimizer) -> list[str]:
    key, name = "train.optimizer", optimizer.name
    problems = _choice(f"{key}.name", name, OPTIMIZERS)
    if not 0 < optimizer.learning_rate <= 1000:
        problems.append(f"{key}.learning_rate must be above 0 and at most 1000. Received: {optimizer.learning_rate:g}.")
    for field in ("momentum", "beta_1", "beta_2", "rho"):
        value = getattr(optimizer, field)
        if not 0 <= value < 1:
            problems.append(f"{key}.{field} must be at least 0 and below 1. Received: {value:g}.")
    if not 0 < optimizer.epsilon < math.inf:
        problems.append(f"{key}.epsilon must be above 0. Received: {optimizer.epsilon:g}.")
    if not 0 <= optimizer.weight_decay < math.inf:
        problems.append(f"{key}.weight_decay must be a number, 0 or above. Received: {optimizer.weight_decay:g}.")
    if optimizer.momentum and name not in ("sgd", "rmsprop"):
        problems.append(f"{key}.momentum belongs to sgd and rmsprop. Leave it out, or choose one of them.")
    if optimizer.nesterov and name != "sgd":
        problems.append(f"{key}.nesterov belongs to sgd. Leave it out, or choose sgd.")
    return problems


def _augmentation(augmentation: Augmentation) -> list[str]:
    views = augmentation.views
    twice = [text for text in dict.fromkeys(views) if views.count(text) > 1]
    problems = [f"augmentation.views: {text!r} is there twice, and would be the same picture twice." for text in twice]
    for field in ("views", "fresh"):
        for text in getattr(augmentation, field):
            problems += _operations(f"augmentation.{field}", text)
    return problems


def _operations(key: str, text: str) -> list[str]:
    found = [OPERATION.fullmatch(part) for part in text.split(" + ")]
    if not all(found):
        return [
            f"{key} must hold texts such as 'flip', 'flip both', 'rotation 0.1', 'zoom 0.2', "
            f"'shift 20', 'contrast 0.3' or 'flip + zoom 0.2'. Received: {text!r}."
        ]
    amounts = [(match[0].partition(" ")[0], float(match[1])) for match in found if match and match[1]]
    return [
        f"{key}: {name} must be at most {MOST[name]:g}. Received: {text!r}."
        for name, amount in amounts
        if amount > MOST[name]
    ]


def _choice(key: str, received: str, allowed: tuple[str, ...]) -> list[str]:
    if received in allowed:
        return []
    hint = did_you_mean(received, allowed)
    return [f"{key} must be one of {', '.join(allowed)}. Received: {received!r}.{hint}"]


def _range(key: str, received: int, low: int, high: int) -> list[str]:
    if low <= received <= high:
        return []
    return [f"{key} must be between {low} and {high}. Received: {received}."]


def _fraction(key: str, received: float) -> list[str]:
    if 0 < received < 1:
        return []
    return [f"{key} must be above 0 and below 1. Received: {received:g}."]
