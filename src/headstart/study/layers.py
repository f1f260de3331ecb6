"""What the candidates of a recipe are made of, layer by layer. Needs neither images nor pretrained weights."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.backbones import architectures, catalog
from headstart.evaluation.results import ParameterCounts
from headstart.recipe import Candidate
from headstart.training.layers import LayerRow, PhaseCounts, layer_table


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
