"""From a folder and settings to a plan: images, splits, candidates, weights. Problems are found before work starts."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart import storage
from headstart.backbones import architectures, catalog, weights
from headstart.backbones.catalog import Backbone
from headstart.backbones.engine import backend_name
from headstart.backbones.weights import WeightsFile
from headstart.data import decode
from headstart.data.audit import Audit, audit
from headstart.data.decode import RESIZE_VERSION, Resize
from headstart.data.images import ImageRow, ImageTable
from headstart.data.split import Splits, split_table
from headstart.errors import DataError, ImageError, UsageError, WeightsError
from headstart.features.cache import Space
from headstart.features.trunk import Engine, choose_engine
from headstart.recipe import Candidate, DataRules, Head, Optimizer, Protocol, Recipe, Schedule
from headstart.version import __version__

SMALL_CNN = "small_cnn"
CONTROL_RATE = 1e-3
DEFAULT_RATES = (1e-2, 1e-3, 1e-4, 1e-5)
RANDOM_SUFFIX = ":random"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of ``compare``. Empty or None stands for the default.

    ``backbones`` may carry ``:random`` for random weights. ``folds`` and ``holdout`` exclude each other.
    ``random_control`` adds every pretrained backbone once more with random weights.
    """

    backbones: tuple[str, ...] = ()
    learning_rates: tuple[float, ...] = ()
    folds: int | None = None
    holdout: float | None = None
    repeats: int = 1
    test_fraction: float = 0.2
    monitor: str = "accuracy"
    finals: str = "per_backbone"
    seed: int = 0
    image_size: int = 0
    resize: str = "stretch"
    group_by: str = ""
    dense: tuple[int, ...] = ()
    dropout: float = 0.0
    l2: float = 0.0
    optimizer: str = "adam"
    momentum: float = 0.0
    nesterov: bool = False
    schedule: str = "constant"
    schedule_factor: float = 0.1
    schedule_every: int = 5
    batch_size: int = 32
    epochs: int = 20
    patience: int = 0
    precision: str = "f32"
    random_control: bool = False


def recipe_from(settings: Settings, *, weights_dir: Path | None = None) -> Recipe:
    """Return the recipe that ``compare`` runs for these settings.

    Without ``backbones`` these are all whose weights are found, and the small CNN as a control at one rate.

    Raises:
        UsageError: a setting is out of its range, or a backbone is unknown (every problem, one line each).
    """
    if settings.folds is not None and settings.holdout is not None:
        raise UsageError("folds and holdout exclude each other. Give one of them.")
    kind = "holdout" if settings.holdout is not None else "folds"
    protocol = Protocol(
        kind=kind,
        folds=5 if settings.folds is None else settings.folds,
        holdout=0.2 if settings.holdout is None else settings.holdout,
        repeats=settings.repeats,
        test_fraction=settings.test_fraction,
        monitor=settings.monitor,
        finals=settings.finals,
        seed=settings.seed,
    )
    return Recipe(
        candidates=tuple(_candidates(settings, weights_dir)),
        data=DataRules(resize=settings.resize, group_by=settings.group_by),
        protocol=protocol,
        precision=settings.precision,
    )


def _candidates(settings: Settings, weights_dir: Path | None) -> list[Candidate]:
    names = settings.backbones or _found_backbones(weights_dir)
    rates = settings.learning_rates or DEFAULT_RATES
    candidates = [_candidate(settings, name, rate) for name in names for rate in rates]
    if settings.random_control:
        pretrained = [name for name in names if catalog.find(name.removesuffix(RANDOM_SUFFIX)).pretrained]
        controls = [name + RANDOM_SUFFIX for name in pretrained if not name.endswith(RANDOM_SUFFIX)]
        candidates += [_candidate(settings, name, rate) for name in controls for rate in rates]
    if not settings.backbones:
        candidates.append(_candidate(settings, SMALL_CNN, CONTROL_RATE))
    return candidates


def _found_backbones(weights_dir: Path | None) -> list[str]:
    rows = catalog.CATALOG.values()
    return [row.name for row in rows if row.pretrained and weights.locate(row, weights_dir=weights_dir)]


def _candidate(settings: Settings, name: str, rate: float) -> Candidate:
    backbone = catalog.find(name.removesuffix(RANDOM_SUFFIX))
    size = settings.image_size or backbone.default_size
    backbone.check_size(size)
    return Candidate(
        backbone=backbone.name,
        weights="imagenet" if backbone.pretrained and not name.endswith(RANDOM_SUFFIX) else "random",
        trainable="none" if backbone.pretrained else "all",
        image_size=size,
        head=Head(dense=settings.dense, dropout=settings.dropout, l2=settings.l2),
        optimizer=Optimizer(settings.optimizer, rate, momentum=settings.momentum, nesterov=settings.nesterov),
        schedule=Schedule(settings.schedule, settings.schedule_factor, settings.schedule_every),
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        patience=settings.patience,
    )


@dataclass(frozen=True, slots=True)
class Network:
    """One backbone with its weights at one input size, and the candidates that use it; ``name`` is unique in a plan."""

    name: str
    backbone: Backbone
    file: WeightsFile | None
    size: Resize
    seed: int
    trainable: str
    candidates: tuple[Candidate, ...]

    @property
    def weights_key(self) -> str:
        """What the weights are: the file's SHA-256, or the seed and what turns it into random weights."""
        if self.file:
            return self.file.sha256
        keras = f"keras-{metadata.version('keras')}-{backend_name()}"
        return f"random:{self.seed}:{keras}:{architectures.RANDOM_VERSION}"

    def space(self, engine: Engine, precision: str) -> Space:
        """Return the cache's key for this network's pooled features."""
        preprocessing = self.backbone.preprocessing
        return Space(
            backbone=self.backbone.name,
            weights=self.weights_key,
            cut="end",
            pooling="average",
            preprocessing=f"{preprocessing.channel_order} {preprocessing.scale} {preprocessing.offset}",
            height=self.size.height,
            width=self.size.width,
            resize=self.size.rule,
            resize_version=RESIZE_VERSION,
            decoder=decode.decoders(),
            view="original",
            engine=engine.label,
            precision=precision,
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a study needs to start; ``study_id`` is the identity of its numbers."""

    recipe: Recipe
    table: ImageTable
    splits: Splits
    networks: tuple[Network, ...]
    engine: Engine
    audit: Audit
    study_id: str

    def default_folder(self) -> Path:
        """Return ``runs/<data>-<hash of data and settings>``."""
        return Path("runs") / f"{self.table.name}-{self.study_id[:10]}"

    def encoded(self, row: ImageRow) -> bytes | NDArray[np.uint8]:
        """Return the bytes (or decoded pixels) of an image.

        Raises:
            DataError: the file is gone, or is no longer the one that the table describes.
        """
        try:
            encoded = self.table.encoded(row)
        except ImageError as error:
            raise DataError(f"{row.path}: {error}. Give the same command again to read all images anew.") from error
        if isinstance(encoded, bytes) and hashlib.sha256(encoded).hexdigest() != row.sha256:
            raise DataError(f"{row.path} changed since it was read. Give the same command again to read it anew.")
        return encoded


def make_plan(table: ImageTable, recipe: Recipe, *, weights_dir: Path | None, folds_asked: bool) -> Plan:
    """Return the plan of a study, or say everything that stands in its way.

    Raises:
        DataError: the images do not allow the protocol.
        WeightsError: weights are missing (all of them named).
    """
    splits = split_table(table, recipe.protocol, folds_asked=folds_asked)
    engine = _engine(recipe)
    networks = _networks(recipe, weights_dir)
    identity = {
        "version": __version__,
        "recipe": recipe,
        "data": table.fingerprint,
        "weights": [network.weights_key for network in networks],
        "arithmetic": [engine.label, backend_name(), decode.decoders()],
        "splits": [(row.path, row.split) for row in splits.rows],
        "rounds": [(one.repeat, one.fold, one.validation) for one in splits.rounds],
    }
    return Plan(recipe, table, splits, networks, engine, audit(table, splits), storage.digest_of(identity))


def _engine(recipe: Recipe) -> Engine:
    """Return what computes features on this machine; refuse what it cannot do."""
    if backend_name() != "tensorflow":
        raise UsageError(
            f"A study needs Keras' TensorFlow backend: others cannot write the classifier's graph yet. "
            f"Received: KERAS_BACKEND={backend_name()}."
        )
    engine = choose_engine()
    if engine.name == "keras" and recipe.precision != "f32":
        raise UsageError("precision bf16 needs the OpenVINO engine; here Keras computes features. Use f32.")
    return engine


def _networks(recipe: Recipe, weights_dir: Path | None) -> tuple[Network, ...]:
    """Group the candidates: those of one network share features, or one traced training."""
    groups: dict[Hashable, list[Candidate]] = {}
    for one in recipe.candidates:
        head = one.head if one.trainable == "all" else None
        groups.setdefault((one.network, one.image_size, one.trainable, head), []).append(one)
    names = _unique([candidates[0] for candidates in groups.values()])
    problems: list[str] = []
    networks = []
    for name, candidates in zip(names, groups.values(), strict=True):
        first, backbone = candidates[0], catalog.find(candidates[0].backbone)
        size = Resize(first.image_size, first.image_size, recipe.data.resize)
        try:
            file = weights.require(backbone, weights_dir=weights_dir) if first.weights == "imagenet" else None
        except WeightsError as error:
            problems.append(str(error))
            continue
        networks.append(Network(name, backbone, file, size, recipe.protocol.seed, first.trainable, tuple(candidates)))
    if problems:
        raise WeightsError("\n".join(problems))
    return tuple(networks)


def _unique(firsts: Sequence[Candidate]) -> list[str]:
    """Return a name for every network: plain where that is enough, else with its size, else with a number too."""
    plain = [one.network for one in firsts]
    sized = [f"{one.network}-{one.image_size}" for one in firsts]
    names = []
    for place, name in enumerate(plain):
        if plain.count(name) > 1:
            name = sized[place]
            name += f"-{sized[: place + 1].count(name)}" if sized.count(name) > 1 else ""
        names.append(name)
    return names
