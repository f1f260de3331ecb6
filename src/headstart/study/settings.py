"""The settings of ``compare``, and the recipe that they mean."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from headstart.backbones import catalog, weights
from headstart.errors import UsageError, WeightsError, did_you_mean
from headstart.recipe import (
    Augmentation,
    Candidate,
    DataRules,
    Head,
    Optimizer,
    Phase,
    Protocol,
    Recipe,
    Schedule,
    Training,
)
from headstart.recipe.lists import Corrections, read_class_names, read_corrections
from headstart.study.tuning import tuned_layers

SMALL_CNN = "small_cnn"
CONTROL_RATE = 1e-3
# Of heads on frozen backbones, and of networks that train from scratch.
DEFAULT_RATES, SCRATCH_RATES = (3e-2, 1e-2, 3e-3, 1e-3), (3e-3, 1e-3)
RANDOM_SUFFIX = ":random"

AUGMENTATIONS = {
    "none": Augmentation(),
    "flip": Augmentation(views=("flip",)),
    "views": Augmentation(views=("flip", "zoom 0.2", "shift 45", "contrast 0.3")),
    "fresh": Augmentation(fresh=("flip", "rotation 0.05", "zoom 0.2", "shift 0.1", "contrast 0.2")),
}

# Longer keys come before those that they begin with.
OPTION_OF_KEY = {
    "train.optimizer.name": "--optimizer",
    "train.optimizer.learning_rate": "--learning-rates",
    "train.optimizer.": "--",
    "train.schedule.kind": "--schedule",
    "train.schedule.": "--schedule-",
    "train.batch_size": "--batch-size",
    "train.label_smoothing": "--label-smoothing",
    "train.average": "the average of weights",
    "train.class_weights": "--class-weights",
    "train.": "--",
    "protocol.test_fraction": "--test-fraction",
    "protocol.choose_by": "--choose-by",
    "in protocol.decide": "with --cost",
    "protocol.": "--",
    "data.min_images_per_class": "--min-images-per-class",
    "data.": "--",
    "head.layers": "--dense and --dropout",
    "head.": "--",
    "image_size": "--image-size",
}

# Fine-tuning: the head first, then the last part of the backbone with it, slowly and with fixed statistics of batch
# normalisation. Of 200 images a class a rate of 1e-4 left 97.0 % of digits and 90.6 % of flowers right, 3e-4 98.1 and
# 91.8 %, 1e-3 99.2 and 92.0 %, the last at no better validation on the flowers (MobileNet, one seed).
TUNED_HEAD_RATE = 1e-3
TUNED_RATE = 3e-4
TUNED_HEAD_EPOCHS = 5
# The share of the epochs whose weights are averaged where layers of the backbone train.
AVERAGED = 0.2

# Settings that only trainings in epochs have: whoever changes one asks for heads that are trained so.
OF_EPOCHS = (
    "dense",
    "dropout",
    "l2",
    "optimizer",
    "momentum",
    "nesterov",
    "schedule",
    "schedule_factor",
    "schedule_every",
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of ``compare``. Empty or None stands for the default.

    ``backbones`` may carry ``:random`` for random weights. ``folds`` and ``holdout`` exclude each other. Frozen
    backbones get a head of ``logistic`` regression; with ``learning_rates``, or settings that only trainings in epochs
    have, also heads that are trained at each rate. ``budget`` is the seconds that the whole study may take, 0: as many
    as it needs; it chooses itself what fits, fine-tuning included.
    ``random_control`` adds every pretrained backbone once more with random weights, ``finetune`` once more with its
    last part trained too. ``class_names`` is a CSV file with ``label,name``; ``drop`` a file with one path per line, or
    a list of doubts with actions.
    ``unknown`` is a folder of images of no class. ``target_precision`` and ``target_recall`` are texts ``CLASS=SHARE``,
    ``cost`` ``TRUE:PREDICTED=NUMBER``. The others that begin with ``equivalence`` are those of ``recipe.Protocol``.
    """

    backbones: tuple[str, ...] = ()
    learning_rates: tuple[float, ...] = ()
    folds: int | None = None
    holdout: float | None = None
    repeats: int = 1
    test_fraction: float = 0.2
    choose_by: str = "accuracy"
    finals: str = "per_backbone"
    seed: int = 0
    image_size: int = 0
    resize: str = "stretch"
    group_by: str = ""
    class_names: Path | None = None
    drop: Path | None = None
    limit: int = 0
    min_images_per_class: int = 0
    pool: bool = False
    pooling: str = "average"
    dense: tuple[int, ...] = ()
    dropout: float = 0.0
    l2: float = 0.0
    logistic: bool = True
    optimizer: str = "adam"
    momentum: float = 0.0
    nesterov: bool = False
    schedule: str = "cosine"
    schedule_factor: float = 0.1
    schedule_every: int = 5
    batch_size: int = 32
    epochs: int = 20
    patience: int = 0
    label_smoothing: float = 0.0
    class_weights: str = "none"
    augment: str = "none"
    finetune: bool = False
    precision: str = "f32"
    random_control: bool = False
    equivalence: float = 0.01
    nested: bool = False
    learning_curve: bool = False
    combine: bool = False
    budget: float = 0.0
    unknown: Path | None = None
    target_precision: tuple[str, ...] = ()
    target_recall: tuple[str, ...] = ()
    cost: tuple[str, ...] = ()


def recipe_from(settings: Settings, *, weights_dir: Path | None = None) -> Recipe:
    """Return the recipe that ``compare`` runs for these settings.

    Without ``backbones`` these are all whose weights are found, and the small CNN as a control at one rate.

    Raises:
        UsageError: a setting is out of its range, or a backbone is unknown (every problem, one line each).
        WeightsError: no backbone is named, and no pretrained weights are found.
    """
    if settings.folds is not None and settings.holdout is not None:
        raise UsageError("folds and holdout exclude each other. Give one of them.")
    if settings.augment not in AUGMENTATIONS:
        hint = did_you_mean(settings.augment, AUGMENTATIONS)
        raise UsageError(f"augment must be one of {', '.join(AUGMENTATIONS)}. Received: {settings.augment!r}.{hint}")
    candidates = tuple(_candidates(settings, weights_dir))
    if AUGMENTATIONS[settings.augment].fresh and not any(one.augmentation.fresh for one in candidates):
        raise UsageError(
            f"augment {settings.augment} changes images in every epoch, and here no backbone trains. Add --finetune, "
            "or use views."
        )
    try:
        return Recipe(candidates, _data_rules(settings), _protocol(settings), settings.precision)
    except UsageError as error:
        raise UsageError(_with_options(str(error))) from None


def _with_options(problems: str) -> str:
    """Return problems of a recipe under the names by which ``compare`` knows its keys."""
    for key, option in OPTION_OF_KEY.items():
        problems = problems.replace(key, option)
    return problems


def _data_rules(settings: Settings) -> DataRules:
    corrections = read_corrections(settings.drop) if settings.drop else Corrections()
    return DataRules(
        resize=settings.resize,
        group_by=settings.group_by,
        class_names=read_class_names(settings.class_names) if settings.class_names else {},
        remove=corrections.remove,
        limit=settings.limit,
        relabel=corrections.relabel,
        corrected_from=corrections.run,
        keep=corrections.keep,
        min_images_per_class=settings.min_images_per_class,
        pool=settings.pool,
    )


def _protocol(settings: Settings) -> Protocol:
    return Protocol(
        kind="holdout" if settings.holdout is not None else "folds",
        folds=0 if settings.folds is None else settings.folds,
        holdout=0.2 if settings.holdout is None else settings.holdout,
        repeats=settings.repeats,
        test_fraction=settings.test_fraction,
        choose_by=settings.choose_by,
        finals=settings.finals,
        seed=settings.seed,
        equivalence=settings.equivalence,
        nested=settings.nested,
        learning_curve=settings.learning_curve,
        combinations=settings.combine,
        unknown_images=str(settings.unknown or ""),
        budget=settings.budget,
        decide=_decisions(settings),
    )


def _decisions(settings: Settings) -> tuple[str, ...]:
    """Return targets and costs as a recipe writes them; their values are checked there."""
    return tuple(
        f"{kind} {name} {value}"
        for kind, texts in (
            ("precision", settings.target_precision),
            ("recall", settings.target_recall),
            ("cost", settings.cost),
        )
        for name, _, value in (text.rpartition("=") for text in texts)
    )


def _candidates(settings: Settings, weights_dir: Path | None) -> Iterator[Candidate]:
    names = settings.backbones or _found_backbones(weights_dir)
    if not names:
        raise WeightsError(weights.none_found(weights_dir))
    pretrained = [name for name in names if not name.endswith(RANDOM_SUFFIX) and catalog.find(name).pretrained]
    for name in names:
        yield from _with_heads(settings, name)
    if settings.random_control:
        for name in pretrained:
            yield from _with_heads(settings, name + RANDOM_SUFFIX)
    if settings.finetune or settings.budget:
        for name in pretrained:
            yield _finetuned(settings, name)
    if not settings.backbones:
        yield _candidate(settings, SMALL_CNN, CONTROL_RATE)


def _found_backbones(weights_dir: Path | None) -> list[str]:
    return [one.backbone for one in weights.found(weights_dir=weights_dir)]


def _with_heads(settings: Settings, name: str) -> Iterator[Candidate]:
    """Yield a backbone with logistic regression where it is frozen, and with the learning rates that are asked for."""
    one = _candidate(settings, name, CONTROL_RATE)
    solved = settings.logistic and not one.tunes
    if solved:
        yield dataclasses.replace(one, head=Head(settings.pooling, output="logistic"))
    defaults = SCRATCH_RATES if one.tunes else DEFAULT_RATES
    if settings.learning_rates or not solved or _asks_for_epochs(settings):
        for rate in settings.learning_rates or defaults:
            yield _candidate(settings, name, rate)


def _asks_for_epochs(settings: Settings) -> bool:
    plain = Settings()
    # fine-tuning trains in epochs too: there these settings are its own
    names = OF_EPOCHS if settings.finetune or settings.budget else (*OF_EPOCHS, "epochs", "batch_size", "patience")
    return any(getattr(settings, name) != getattr(plain, name) for name in names)


def _candidate(settings: Settings, name: str, rate: float) -> Candidate:
    backbone = catalog.find(name.removesuffix(RANDOM_SUFFIX))
    size = settings.image_size or backbone.default_size
    backbone.check_size(size)
    trainable = "none" if backbone.pretrained else "all"
    augmentation = AUGMENTATIONS[settings.augment]
    return Candidate(
        backbone=backbone.name,
        weights="imagenet" if backbone.pretrained and not name.endswith(RANDOM_SUFFIX) else "random",
        image_size=size,
        head=Head(settings.pooling, _layers(settings), l2=settings.l2),
        train=Training(
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            optimizer=Optimizer(settings.optimizer, rate, momentum=settings.momentum, nesterov=settings.nesterov),
            schedule=Schedule(settings.schedule, settings.schedule_factor, settings.schedule_every),
            trainable=trainable,
            patience=settings.patience,
            average=_average(settings) if trainable == "all" else 0.0,
            label_smoothing=settings.label_smoothing,
            class_weights=settings.class_weights,
        ),
        # what is drawn anew in every epoch would run a frozen backbone in every epoch
        augmentation=augmentation if trainable == "all" else dataclasses.replace(augmentation, fresh=()),
    )


def _average(settings: Settings) -> float:
    """Return the share of epochs to average over: with patience, those that are best on images held back are kept."""
    return 0.0 if settings.patience else AVERAGED


def _layers(settings: Settings) -> tuple[str, ...]:
    """Return the head's layers: dropout stands after every dense layer, or before the output where there is none."""
    dropout = [f"dropout {settings.dropout:g}"] if settings.dropout else []
    l2 = f" l2 {settings.l2:g}" if settings.l2 else ""
    hidden = [text for units in settings.dense for text in (f"dense {units}{l2}", *dropout)]
    return tuple(hidden or dropout)


def _finetuned(settings: Settings, name: str) -> Candidate:
    """Return a pretrained backbone whose last part trains in a second phase."""
    backbone = catalog.find(name)
    frozen = _candidate(settings, name, TUNED_HEAD_RATE)
    tuned = Phase(
        epochs=settings.epochs,
        trainable=f"last {tuned_layers(backbone, frozen.image_size)}",
        learning_rate=TUNED_RATE,
        schedule=Schedule("cosine"),
        batch_normalization="inference",
    )
    train = dataclasses.replace(
        frozen.train,
        epochs=TUNED_HEAD_EPOCHS,
        optimizer=Optimizer("adam", TUNED_HEAD_RATE),
        schedule=Schedule("constant"),
        average=_average(settings),
        phases=(tuned,),
    )
    augmentation = AUGMENTATIONS[settings.augment]
    return dataclasses.replace(frozen, name=f"{backbone.name}-finetuned", train=train, augmentation=augmentation)
