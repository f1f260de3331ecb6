"""The table of a candidate's layers, and how many of its weights train in each phase, as Keras counts them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart import recipe
from headstart.evaluation.results import ParameterCounts
from headstart.features.cut import tail_variables
from headstart.features.pooling import pooling_layer
from headstart.training.assembly import build_head, pooled_size
from headstart.training.heads import parameter_count
from headstart.training.modes import set_free
from headstart.training.phases import cuts

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer: ``kind`` is its Keras class, the first axis of ``output_shape`` (images) is None.

    ``trainable`` is how many of its weights train in the last phase.
    """

    name: str
    kind: str
    output_shape: tuple[int | None, ...]
    parameters: int
    trainable: int


@dataclass(frozen=True, slots=True)
class PhaseCounts:
    """Numbers of weights in one phase."""

    trainable: int
    non_trainable: int
    total: int


@dataclass(frozen=True, slots=True)
class LayerTable:
    """All layers of the backbone, then those of the head; and the counts, those of ``parameters`` phase by phase."""

    rows: tuple[LayerRow, ...]
    parameters: ParameterCounts
    phases: tuple[PhaseCounts, ...]


def layer_table(network: keras.Model, candidate: recipe.Candidate, classes: int) -> LayerTable:
    """Return the layers of a candidate, whose backbone is ``network`` at the candidate's image size.

    Raises:
        UsageError: the network has no such layer as a phase names.
    """
    head, pooled = candidate.head, pooled_size(network, candidate.head.pooling)
    counts = parameter_counts(network, candidate, classes)
    cut = cuts(candidate.train, [layer.name for layer in network.layers])[-1]
    rows = [_row(layer, trains=number >= cut) for number, layer in enumerate(network.layers)]
    if len(network.output_shape) > 2:
        pooling = pooling_layer(head.pooling)
        rows.append(LayerRow(pooling.name, type(pooling).__name__, (None, pooled), 0, 0))
    rows += [_row(layer, trains=True) for layer in build_head(head, pooled, classes).layers[1:]]
    return LayerTable(
        rows=tuple(rows),
        parameters=counts,
        phases=tuple(PhaseCounts(one, counts.total - one, counts.total) for one in counts.per_phase),
    )


def parameter_counts(network: keras.Model, candidate: recipe.Candidate, classes: int) -> ParameterCounts:
    """Return how many weights a candidate has; ``trainable`` and ``non_trainable`` are those of the first phase.

    Raises:
        UsageError: the network has no such layer as a phase names.
    """
    set_free(network)
    pooled = pooled_size(network, candidate.head.pooling)
    in_head = parameter_count(candidate.head, inputs=pooled, classes=classes)
    names = [layer.name for layer in network.layers]
    per_phase = tuple(in_head + _trainable(network, cut) for cut in cuts(candidate.train, names))
    total = in_head + _size(network.weights)
    return ParameterCounts(per_phase[0], total - per_phase[0], total, per_phase)


def _trainable(network: keras.Model, cut: int) -> int:
    """Return the number of weights behind a cut that gradients can change."""
    return _size([variable for variable in tail_variables(network, cut) if variable.trainable])


def _size(variables: list[Any]) -> int:
    return sum(math.prod(variable.shape) for variable in variables)


def _row(layer: Any, *, trains: bool) -> LayerRow:
    outputs = layer.output
    shape = (outputs[0] if isinstance(outputs, list) else outputs).shape
    trainable = _size([variable for variable in layer.weights if variable.trainable]) if trains else 0
    return LayerRow(layer.name, type(layer).__name__, tuple(shape), layer.count_params(), trainable)
