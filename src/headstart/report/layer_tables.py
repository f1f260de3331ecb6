"""What the candidates are made of, layer by layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from headstart.evaluation.results import CandidateResult
from headstart.report import content
from headstart.report.content import Findings, Ranked
from headstart.runs.folder import LayerRow, RunFolder

STRUCTURES = 8
ROWS = 1_500
"""So many structures, with so many layers together, have their tables on the page; the best one always has."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer; ``index`` is its row in the table of layers."""

    index: int
    row: LayerRow


@dataclass(frozen=True, slots=True)
class Phase:
    """The weights that train in a phase of training and those that do not; ``number`` counts from 1."""

    number: int
    trainable: int
    fixed: int


@dataclass(frozen=True, slots=True)
class Structure:
    """Candidates with the same layers, of which the same train, best first; ``phases`` of those that were built."""

    candidates: tuple[Ranked, ...]
    layers: tuple[Layer, ...]
    phases: tuple[Phase, ...]

    @property
    def first(self) -> Ranked:
        """The best of its candidates."""
        return self.candidates[0]


@dataclass(frozen=True, slots=True)
class LayerTables:
    """The structures that are shown, best first, and how many more there are."""

    structures: tuple[Structure, ...]
    left_out: int


def gather(folder: RunFolder, findings: Findings) -> LayerTables | None:
    """Return the layer tables; None when the run has none."""
    layers: dict[str, list[Layer]] = defaultdict(list)
    for index, row in enumerate(folder.layers()):
        layers[row.candidate].append(Layer(index, row))
    alike: dict[Hashable, list[Ranked]] = defaultdict(list)
    for ranked in content.ranking(findings.summary):
        if ranked.result.id in layers:
            alike[_identity(layers[ranked.result.id], ranked.result)].append(ranked)
    if not alike:
        return None
    found = [_structure(rows, layers[rows[0].result.id]) for rows in alike.values()]
    shown = _shown(found)
    return LayerTables(tuple(found[:shown]), len(found) - shown)


def _identity(layers: Sequence[Layer], result: CandidateResult) -> Hashable:
    """Return what candidates of one structure have in common."""
    rows = [one.row for one in layers]
    phases = result.parameters.per_phase if result.parameters else None
    return (phases, *((row.layer, row.kind, row.output_shape, row.parameters, row.trainable) for row in rows))


def _structure(candidates: Sequence[Ranked], layers: Sequence[Layer]) -> Structure:
    counts = candidates[0].result.parameters
    per_phase = counts.per_phase if counts else ()
    total = counts.total if counts else 0
    phases = tuple(Phase(number, one, total - one) for number, one in enumerate(per_phase, 1))
    return Structure(tuple(candidates), tuple(layers), phases)


def _shown(structures: Sequence[Structure]) -> int:
    """Return how many of the first structures the page has room for."""
    rows = 0
    for place, one in enumerate(structures):
        rows += len(one.layers)
        if place and (rows > ROWS or place >= STRUCTURES):
            return place
    return len(structures)
