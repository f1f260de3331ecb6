"""What the candidates of a recipe are made of, layer by layer. Needs neither images nor pretrained weights."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from headstart import storage
from headstart.backbones import architectures, catalog
from headstart.evaluation.results import ParameterCounts
from headstart.features.cache import FeatureCache
from headstart.machine import package_versions
from headstart.recipe import Candidate
from headstart.runs import folder
from headstart.study.attempt import attempt
from headstart.training.layers import LayerRow, PhaseCounts, layer_table
from headstart.version import __version__


@dataclass(frozen=True, slots=True)
class CandidateLayers:
    """One candidate: its layers, and its numbers of weights, in all and phase by phase."""

    candidate: str
    layers: tuple[LayerRow, ...]
    parameters: ParameterCounts
    phases: tuple[PhaseCounts, ...]


def candidate_layers(candidate: Candidate, classes: int) -> CandidateLayers:
    """Return the layer table of a candidate with so many classes."""
    backbone = catalog.find(candidate.backbone)
    size = candidate.image_size or backbone.default_size
    channels = backbone.input_preprocessing(candidate.preprocessing, candidate.colour).channels
    network = architectures.outline(backbone, image_size=size, channels=channels)
    table = layer_table(network, candidate, classes)
    return CandidateLayers(candidate.id, table.rows, table.parameters, table.phases)


def layer_rows(candidates: Iterable[Candidate], classes: int, cache: FeatureCache) -> Iterator[folder.LayerRow]:
    """Yield the layers of all candidates; those that differ by nothing that decides layers are built once.

    Tables are kept in the cache: to build a network takes seconds. A candidate whose network cannot be built has none.
    """
    known: dict[Hashable, tuple[LayerRow, ...]] = {}
    for one in candidates:
        structure = _structure(one)
        if structure not in known:
            _, found = attempt(partial(_kept_layers, one, classes, cache))
            known[structure] = found or ()
        for row in known[structure]:
            yield folder.LayerRow(
                candidate=one.id,
                layer=row.name,
                kind=row.kind,
                output_shape=" x ".join(str(size) for size in row.output_shape[1:]),
                parameters=row.parameters,
                trainable=row.trainable,
            )


def _kept_layers(candidate: Candidate, classes: int, cache: FeatureCache) -> tuple[LayerRow, ...]:
    def make() -> bytes:
        return storage.json_text(candidate_layers(candidate, classes).layers).encode()

    key = ("layers", _structure(candidate), classes, package_versions(("keras",)), __version__)
    rows: tuple[LayerRow, ...] = storage.from_plain(tuple[LayerRow, ...], json.loads(cache.kept(key, make)))
    return rows


def _structure(candidate: Candidate) -> Hashable:
    """Return what decides a candidate's layers and which of them train."""
    image = (candidate.image_size, candidate.preprocessing, candidate.colour)
    return (candidate.backbone, image, candidate.head, candidate.train.cuts)
