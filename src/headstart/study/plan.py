"""From a folder and settings to a plan: images, splits, candidates, weights. Problems are found before work starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headstart import __version__, storage
from headstart.backbones import catalog, weights
from headstart.backbones.catalog import Backbone
from headstart.backbones.weights import WeightsFile
from headstart.data.decode import RESIZE_VERSION, Resize
from headstart.data.images import ImageTable
from headstart.data.split import Splits, split_table
from headstart.errors import UsageError, WeightsError
from headstart.features.cache import Space
from headstart.features.trunk import Engine
from headstart.recipe import Candidate, DataRules, Head, Optimizer, Protocol, Recipe, Schedule

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
    """One backbone with its weights at one input size, and the candidates that use it."""

    backbone: Backbone
    weights: str
    file: WeightsFile | None
    size: Resize
    seed: int
    trainable: str
    candidates: tuple[Candidate, ...]

    @property
    def name(self) -> str:
        """The readable name: backbone, and whether its weights are random."""
        control = "-random" if self.weights == "random" and self.trainable == "none" else ""
        return self.backbone.name + control

    @property
    def weights_key(self) -> str:
        """What the weights are: the file's SHA-256, or ``random:<seed>``."""
        return self.file.sha256 if self.file else f"random:{self.seed}"

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
    study_id: str

    def default_folder(self) -> Path:
        """Return ``runs/<data>-<hash of data and settings>``."""
        return Path("runs") / f"{self.table.name}-{self.study_id[:10]}"


def make_plan(table: ImageTable, recipe: Recipe, *, weights_dir: Path | None, folds_asked: bool) -> Plan:
    """Return the plan of a study, or say everything that stands in its way.

    Raises:
        DataError: the images do not allow the protocol.
        WeightsError: weights are missing (all of them named).
    """
    splits = split_table(table, recipe.protocol, folds_asked=folds_asked)
    networks = _networks(recipe, weights_dir)
    identity = {
        "version": __version__,
        "recipe": recipe,
        "data": table.fingerprint,
        "weights": [network.weights_key for network in networks],
        "splits": [(row.path, row.split) for row in splits.rows],
        "rounds": [(one.repeat, one.fold, one.validation) for one in splits.rounds],
    }
    return Plan(recipe, table, splits, networks, storage.digest_of(identity))


def _networks(recipe: Recipe, weights_dir: Path | None) -> tuple[Network, ...]:
    groups: dict[tuple[str, str, int, str], list[Candidate]] = {}
    for candidate in recipe.candidates:
        key = (candidate.backbone, candidate.weights, candidate.image_size, candidate.trainable)
        groups.setdefault(key, []).append(candidate)
    problems: list[str] = []
    networks = []
    for (name, kind, size, trainable), candidates in groups.items():
        backbone = catalog.find(name)
        try:
            file = weights.require(backbone, weights_dir=weights_dir) if kind == "imagenet" else None
        except WeightsError as error:
            problems.append(str(error))
            continue
        resize = Resize(size, size, recipe.data.resize)
        networks.append(Network(backbone, kind, file, resize, recipe.protocol.seed, trainable, tuple(candidates)))
    if problems:
        raise WeightsError("\n".join(problems))
    return tuple(networks)
