"""From candidates to networks: which of them share features or one training, and what only a network can tell."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from headstart.backbones import architectures, catalog, weights
from headstart.backbones.catalog import Backbone, Preprocessing
from headstart.backbones.engine import backend_name
from headstart.backbones.weights import WeightsFile
from headstart.data import augment, decode
from headstart.data.decode import RESIZE_VERSION, Resize
from headstart.errors import UsageError, WeightsError
from headstart.features.cache import ORIGINAL, Space
from headstart.features.trunk import Engine
from headstart.recipe import Candidate, DataRules, Recipe, check
from headstart.recipe.cuts import first_layer, is_cut

HEADS, TAIL, WHOLE = "heads", "tail", "whole"


@dataclass(frozen=True, slots=True)
class Network:
    """One backbone with its weights at one input size, and the candidates that train on what it gives them.

    Attributes:
        name: unique in a plan.
        learner: ``heads`` (on pooled features), ``tail`` (on what crosses the cut) or ``whole`` (on pixels).
        start: number of the first layer that trains in any phase; the number of layers when none does.
        pooling: of the trunk of ``heads``.
        views: changed copies of every training image.
    """

    name: str
    backbone: Backbone
    file: WeightsFile | None
    size: Resize
    seed: int
    preprocessing: Preprocessing
    learner: str
    start: int
    pooling: str
    views: tuple[str, ...]
    candidates: tuple[Candidate, ...]

    @property
    def settled(self) -> bool:
        """Whether the weights are random and stay, with batch normalisation that suits them."""
        return self.file is None and not self.candidates[0].tunes

    @property
    def licence(self) -> str:
        """The licence of the weights: the file's, or the backbone's of random ones."""
        return self.file.licence if self.file else self.backbone.licence

    @property
    def weights_key(self) -> str:
        """What the weights are: the file's SHA-256, or the seed and what turns it into random weights."""
        if self.file:
            return self.file.sha256
        keras = f"keras-{metadata.version('keras')}-{backend_name()}"
        return f"random:{self.seed}:{keras}:{architectures.RANDOM_VERSION}{':settled' if self.settled else ''}"

    def space(self, engine: Engine, precision: str, view: str = ORIGINAL) -> Space:
        """Return the cache's key for what this network's trunk gives of images, or of changed copies of them."""
        whole = self.learner != TAIL
        return self._space(engine, precision, "end" if whole else f"layer {self.start}", view)

    def prediction_space(self, engine: Engine, precision: str) -> Space:
        """Return the cache's key for pooled features of the whole backbone, which every prediction computes."""
        return self._space(engine, precision, "end", ORIGINAL)

    def _space(self, engine: Engine, precision: str, cut: str, view: str) -> Space:
        preprocessing = self.preprocessing
        return Space(
            backbone=self.backbone.name,
            weights=self.weights_key,
            cut=cut,
            pooling=self.pooling if cut == "end" else "none",
            preprocessing=f"{preprocessing.channel_order} {preprocessing.scale} {preprocessing.offset}",
            height=self.size.height,
            width=self.size.width,
            resize=self.size.label,
            resize_version=RESIZE_VERSION,
            decoder=decode.decoders(),
            view=view if view == ORIGINAL else f"{view}, seed {self.seed}, version {augment.VERSION}",
            engine=engine.label,
            precision=precision,
        )


def network_problems(candidates: Sequence[Candidate]) -> list[str]:
    """Return what is wrong with candidates as only their networks can tell, one line per problem."""
    return check.each_problems(candidates, _problems)


def _problems(candidate: Candidate) -> Iterator[str]:
    try:
        backbone = catalog.find(candidate.backbone)
    except UsageError as error:
        yield f"backbone: {error}"
        return
    size = _size(candidate)
    if not backbone.pretrained and candidate.weights == "imagenet":
        yield f"weights: {backbone.name} has no pretrained weights. Say weights = 'random'."
    for key, question in (
        ("image_size", lambda: backbone.check_size(size)),
        ("colour", lambda: backbone.input_preprocessing(candidate.preprocessing, candidate.colour)),
    ):
        try:
            question()
        except UsageError as error:
            yield f"{key}: {error}"
    yield from _cut_problems(candidate, backbone)


def _cut_problems(candidate: Candidate, backbone: Backbone) -> Iterator[str]:
    phases = range(len(candidate.train.phases))
    keys = ["train.trainable", *(f"train.phases[{number}].trainable" for number in phases)]
    for key, cut in zip(keys, candidate.train.cuts, strict=True):
        if cut not in ("none", "all") and is_cut(cut):
            names = _layer_names(backbone, max(_size(candidate), backbone.minimum_size))
            try:
                first_layer(cut, len(names), names)
            except ValueError as error:
                yield f"{key} = {cut!r}: {backbone.name}: {error}"


def resolved(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Return candidates with the catalogue's name of their backbone and their image size spelled out."""
    return tuple(_resolved(one) for one in candidates)


def _resolved(candidate: Candidate) -> Candidate:
    try:
        backbone = catalog.find(candidate.backbone).name
    except UsageError:
        return candidate
    return dataclasses.replace(candidate, backbone=backbone, image_size=_size(candidate))


def _size(candidate: Candidate) -> int:
    return candidate.image_size or catalog.find(candidate.backbone).default_size


@functools.cache
def _layer_names(backbone: Backbone, size: int) -> tuple[str, ...]:
    """Return the names of all layers, the input included. It may take some seconds."""
    return tuple(layer.name for layer in architectures.outline(backbone, image_size=size).layers)


def _start(candidate: Candidate) -> int:
    """Return the number of the first layer that trains in any phase; the number of layers when none does."""
    if set(candidate.train.cuts) == {"all"}:
        return 0
    names = _layer_names(catalog.find(candidate.backbone), _size(candidate))
    return min(first_layer(cut, len(names), names) for cut in candidate.train.cuts)


def learner_of(candidate: Candidate) -> str:
    """Return who trains a candidate: ``heads``, ``tail`` or ``whole``."""
    if candidate.augmentation.fresh:
        return WHOLE
    if not candidate.tunes and not candidate.train.phases:
        return HEADS
    return TAIL if _start(candidate) else WHOLE


def make_networks(recipe: Recipe, weights_dir: Path | None) -> tuple[Network, ...]:
    """Group the candidates of a recipe.

    Raises:
        WeightsError: weights are missing (all of them named).
    """
    groups: dict[Hashable, list[Candidate]] = {}
    for one in recipe.candidates:
        groups.setdefault(_shared(one), []).append(one)
    names = _unique([candidates[0] for candidates in groups.values()])
    problems: list[str] = []
    networks = []
    for name, candidates in zip(names, groups.values(), strict=True):
        try:
            networks.append(_network(name, candidates, recipe, weights_dir))
        except WeightsError as error:
            problems.append(str(error))
    if problems:
        raise WeightsError("\n".join(dict.fromkeys(problems)))
    return tuple(networks)


def _shared(candidate: Candidate) -> Hashable:
    """Return what candidates of one network have in common."""
    learner, head = learner_of(candidate), candidate.head
    image = (candidate.image_size, candidate.preprocessing, candidate.colour, candidate.augmentation.views)
    mine = head.pooling if learner == HEADS else (head, _start(candidate))
    return (candidate.backbone, candidate.weights, candidate.tunes, learner, image, mine)


def _network(name: str, candidates: Sequence[Candidate], recipe: Recipe, weights_dir: Path | None) -> Network:
    first, backbone = candidates[0], catalog.find(candidates[0].backbone)
    learner = learner_of(first)
    return Network(
        name=name,
        backbone=backbone,
        file=weights.require(backbone, weights_dir=weights_dir) if first.weights == "imagenet" else None,
        size=input_size(first, recipe.data),
        seed=recipe.protocol.seed,
        preprocessing=backbone.input_preprocessing(first.preprocessing, first.colour),
        learner=learner,
        start=backbone.layers if learner == HEADS else _start(first),
        pooling=first.head.pooling,
        views=first.augmentation.views,
        candidates=tuple(candidates),
    )


def input_size(candidate: Candidate, data: DataRules) -> Resize:
    """Return the size and the rule by which images reach a candidate's network."""
    side = _size(candidate)
    return Resize(side, side, data.resize, data.interpolation, data.antialias)


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
