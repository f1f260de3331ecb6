"""What people keep of a study: the best finalist as a classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from headstart.classifier import bundle
from headstart.classifier.answering import Answering
from headstart.classifier.bundle import Provenance
from headstart.evaluation.results import FinalResult
from headstart.features import graph
from headstart.features.cut import tail_variables
from headstart.study.case import Case
from headstart.study.conclude import Final
from headstart.study.networks import Network
from headstart.study.plan import Plan
from headstart.study.workshop import build_network


def save_classifier(case: Case, answering: Answering) -> None:
    """Write the best finalist, and how it answers, as a classifier into the run folder."""
    plan, final, result, place = case.plan, case.final_of(case.best), case.result_of(case.best), case.place
    network, fit, head = final.judged.network, final.fit, final.judged.candidate.head
    model = build_network(network)
    if fit.backbone_weights:
        for variable, values in zip(tail_variables(model, network.start), fit.backbone_weights, strict=True):
            variable.assign(values)
    backbone = graph.backbone_graph(
        graph.from_keras(model), network.preprocessing, network.size, any_size=True, pooling=head.pooling
    )
    weights = {f"backbone/{variable.path}": np.asarray(variable.value) for variable in model.variables}
    weights |= _head_arrays(fit.weights)
    bundle.save(
        place.folder.classifier,
        graph.add_head(backbone, head, fit.weights),
        weights,
        classes=plan.table.classes,
        size=network.size,
        precision=plan.recipe.precision,
        provenance=_provenance(plan, network, final, result),
        answering=answering,
    )


def _head_arrays(weights: Sequence[NDArray[np.float32]]) -> Mapping[str, NDArray[np.float32]]:
    names = ("kernel", "bias")
    return {f"head/dense_{place // 2}/{names[place % 2]}": array for place, array in enumerate(weights)}


def _provenance(plan: Plan, network: Network, final: Final, result: FinalResult) -> Provenance:
    return Provenance(
        study=plan.study_id,
        fingerprint=plan.table.fingerprint,
        candidate=final.id,
        backbone=network.backbone.name,
        weights=network.weights_key,
        licence=network.file.licence if network.file else network.backbone.licence,
        training_images=sum(item.support for item in result.train.per_class),
        test_images=sum(item.support for item in result.test.per_class),
        test_accuracy=result.test.accuracy,
    )
