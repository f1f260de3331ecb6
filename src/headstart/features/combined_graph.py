"""OpenVINO graphs of several networks, of an image and its mirror image, or of both, that answer together.

They have the outputs of ``graph.add_head``: ``probabilities``; ``logits``, whose softmax they are; ``features`` and
``feature_map``. All take uint8 RGB images of any size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.data.decode import Resize
from headstart.features import graph
from headstart.recipe import Head

if TYPE_CHECKING:
    import openvino as ov

Node = Any
Weights = Sequence[NDArray[np.float32]]

# Below it the logarithm of a mean probability, a float32, would soon be infinite.
SMALLEST = np.float32(1e-30)


@dataclass(frozen=True, slots=True, eq=False)
class Backbone:
    """A graph of ``graph.backbone_graph`` for images of exactly this size; it becomes a part of the combination."""

    model: ov.Model
    size: Resize


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A backbone with one head. Members that share a backbone are handed the same object."""

    backbone: Backbone
    head: Head
    weights: Weights


def average_graph(members: Sequence[Member]) -> ov.Model:
    """Return the mean of the members' probabilities; features and feature map are the first member's."""
    ops = graph.openvino_module().opset13
    image = _image()
    backbones = dict.fromkeys(one.backbone for one in members)
    pooled = {one: _attached(one, graph.resize_node(image, one.size)) for one in backbones}
    said = [_probabilities(pooled[one.backbone][1], one.head, one.weights) for one in members]
    mean = _mean(ops.concat([ops.unsqueeze(one, np.array(0)) for one in said], 0))
    feature_map, features = pooled[members[0].backbone]
    return graph.classifier_model(image, mean, _logits(mean), features=features, feature_map=feature_map)


def joined_graph(backbones: Sequence[Backbone], head: Head, weights: Weights) -> ov.Model:
    """Return one head on the features of several backbones side by side; the feature map is the first one's."""
    ops = graph.openvino_module().opset13
    image = _image()
    pooled = [_attached(one, graph.resize_node(image, one.size)) for one in backbones]
    features = _side_by_side(pooled)
    logits = graph.head_node(features, head, weights)
    probabilities = ops.softmax(logits, -1)
    return graph.classifier_model(image, probabilities, logits, features=features, feature_map=pooled[0][0])


def flip_graph(backbones: Sequence[Backbone], head: Head, weights: Weights) -> ov.Model:
    """Return the mean of the probabilities that one head gives for an image and for its mirror image.

    The image is resized, then mirrored. The head sees the features of the backbones side by side; features and feature
    map are those of the image as it is, the feature map is the first backbone's.
    """
    ops = graph.openvino_module().opset13
    image, pooled = _image(), []
    for one in backbones:
        pixels = graph.resize_node(image, one.size)
        turned = ops.gather(pixels, np.arange(one.size.width)[::-1].copy(), np.array(2))
        # one batch, the images first, so that the network stands in the file once
        pooled.append(_attached(one, ops.concat([pixels, turned], 0)))
    features = _side_by_side(pooled)
    said = _probabilities(features, head, weights)
    mean = _mean(ops.reshape(said, np.array([2, -1, len(weights[-1])]), special_zero=False))
    return graph.classifier_model(
        image,
        mean,
        _logits(mean),
        features=_first_half(features),
        feature_map=_first_half(pooled[0][0]),
    )


def _image() -> Node:
    return graph.openvino_module().opset13.parameter([-1, -1, -1, 3], np.uint8, name=graph.IMAGE)


def _attached(backbone: Backbone, pixels: Node) -> tuple[Node, Node]:
    """Put pixels in front of a backbone; return its feature map and its features."""
    [parameter] = backbone.model.get_parameters()
    for target in parameter.output(0).get_target_inputs():
        target.replace_source_output(pixels.output(0))
    feature_map, features = graph.pooled_nodes(backbone.model)
    # only the combination's own outputs may bear these names
    for node in (feature_map, features):
        node.get_tensor().set_names(set())
    return feature_map, features


def _probabilities(features: Node, head: Head, weights: Weights) -> Node:
    return graph.openvino_module().opset13.softmax(graph.head_node(features, head, weights), -1)


def _side_by_side(pooled: Sequence[tuple[Node, Node]]) -> Node:
    several = [features for _, features in pooled]
    return graph.openvino_module().opset13.concat(several, 1) if len(several) > 1 else several[0]


def _mean(several: Node) -> Node:
    return graph.openvino_module().opset13.reduce_mean(several, np.array([0]), keep_dims=False)


def _logits(probabilities: Node) -> Node:
    ops = graph.openvino_module().opset13
    return ops.log(ops.maximum(probabilities, SMALLEST))


def _first_half(node: Node) -> Node:
    return graph.openvino_module().opset13.split(node, np.array(0), 2).output(0)
