"""What people keep of a study: the best finalist as a classifier."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headstart.classifier import bundle
from headstart.classifier.answering import Answering
from headstart.classifier.bundle import BackboneInfo, Provenance
from headstart.evaluation.evidence import Evidence
from headstart.evaluation.headline import figure_of
from headstart.evaluation.results import FinalResult
from headstart.features import graph
from headstart.features.cut import tail_variables
from headstart.machine import package_versions
from headstart.recipe import Candidate
from headstart.study.card import classifier_facts
from headstart.study.case import Case
from headstart.study.conclude import Final
from headstart.study.judge import describe_cut
from headstart.study.networks import Network
from headstart.study.workplace import Workplace
from headstart.study.workshop import build_network
from headstart.version import __version__

if TYPE_CHECKING:
    import keras
    import openvino as ov

Arrays = dict[str, NDArray[np.float32]]


def save_classifier(case: Case, answering: Answering, evidence: Evidence) -> None:
    """Write the finalist that is kept, how it answers, and what was found out about it, as a classifier."""
    plan, final, result, place = case.plan, case.final_of(case.kept), case.result_of(case.kept), case.place
    network, candidate = final.judged.network, final.judged.candidate
    backbone, weights = trained_backbone(final, any_size=True, place=place)
    bundle.save(
        place.folder.classifier,
        graph.add_head(backbone, candidate.head, final.fit.weights),
        bundle_arrays(weights, final.fit.weights),
        classes=plan.table.classes,
        size=network.size,
        precision=plan.recipe.precision,
        provenance=_provenance(case, network, final, result),
        answering=answering,
        head=candidate.head,
        backbone=backbone_info(network, candidate),
        learned=case.parts.learned,
        facts=classifier_facts(case, evidence),
    )


def trained_backbone(final: Final, *, any_size: bool, place: Workplace) -> tuple[ov.Model, Arrays]:
    """Return a finalist's graph from images to features, and the backbone's weights by their Keras paths.

    That of a frozen backbone is made once and kept in the cache: it needs Keras and takes seconds.

    Args:
        any_size: whether the graph resizes images of any size, or takes those of the network's own.
    """
    network, fit, pooling = final.judged.network, final.fit, final.judged.candidate.head.pooling
    if fit.backbone_weights:
        model = build_network(network)
        for variable, values in zip(tail_variables(model, network.start), fit.backbone_weights, strict=True):
            variable.assign(values)
        return backbone_of(network, model, pooling, any_size=any_size)

    def make() -> bytes:
        return graph.to_bytes(*backbone_of(network, build_network(network), pooling, any_size=any_size))

    space, versions = network.prediction_space(place.engine, "f32"), package_versions(("keras", "openvino"))
    return graph.from_bytes(place.cache.kept(("graph", space, pooling, any_size, versions, __version__), make))


def backbone_of(network: Network, model: keras.Model, pooling: str, *, any_size: bool) -> tuple[ov.Model, Arrays]:
    """Return a network's graph from images to features, and its weights by their Keras paths; see ``trained_backbone``.

    Args:
        model: the network in Keras, with the weights that it shall have.
    """
    converted = graph.from_keras(model)
    whole = graph.backbone_graph(converted, network.preprocessing, network.size, any_size=any_size, pooling=pooling)
    return whole, {variable.path: np.asarray(variable.value) for variable in model.variables}


def bundle_arrays(backbone: Arrays, head: Sequence[NDArray[np.float32]]) -> Arrays:
    """Return the weights of a backbone and of the one head on it under the names that a bundle gives them."""
    return {f"backbone/{path}": array for path, array in backbone.items()} | head_arrays("head", head)


def backbone_info(network: Network, candidate: Candidate) -> BackboneInfo:
    """Return what a bundle says of its backbone, so that Keras can build it again."""
    return BackboneInfo(network.backbone.name, network.size.height, network.preprocessing, describe_cut(candidate))


def head_arrays(name: str, weights: Sequence[NDArray[np.float32]]) -> Arrays:
    """Return a head's kernels and biases under the names that a bundle gives them."""
    kinds = ("kernel", "bias")
    return {f"{name}/dense_{place // 2}/{kinds[place % 2]}": array for place, array in enumerate(weights)}


def _provenance(case: Case, network: Network, final: Final, result: FinalResult) -> Provenance:
    plan, figure = case.plan, figure_of(result.test, case.clean_of(final.id))
    return Provenance(
        study=plan.study_id,
        fingerprint=plan.table.fingerprint,
        candidate=final.id,
        backbone=network.backbone.name,
        weights=network.weights_key,
        licence=network.licence,
        training_images=sum(item.support for item in result.train.per_class),
        test_images=figure.images if figure else 0,
        test_accuracy=figure.accuracy if figure else math.nan,
    )
