"""OpenVINO graphs: uint8 pixels -> resize -> preprocessing -> backbone -> feature map, pooled features, head.

One graph serves the study (at the network's exact input size) and the classifier (images of any size), so both give
the same numbers. This module does not import Keras; ``from_keras`` is handed a Keras model.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.backbones.catalog import Preprocessing
from headstart.data.decode import Resize
from headstart.errors import MissingExtraError

if TYPE_CHECKING:
    import keras
    import openvino as ov

Node = Any

IMAGE = "image"
FEATURE_MAP = "feature_map"
FEATURES = "features"
LOGITS = "logits"
PROBABILITIES = "probabilities"


def from_keras(network: keras.Model) -> ov.Model:
    """Convert a Keras model (preprocessed float32 pixels -> feature map) to an OpenVINO model, weights in float32."""
    ov = openvino_module()
    with warnings.catch_warnings():
        # Keras remarks on how the converter calls the model; nothing the user could act on
        warnings.simplefilter("ignore")
        return ov.convert_model(network)


def openvino_module() -> Any:
    """Import OpenVINO quietly.

    Raises:
        MissingExtraError: OpenVINO is not installed.
    """
    logging.getLogger("openvino").setLevel(logging.ERROR)
    # OpenVINO's converter reports its use over the network unless this package is absent; it has a stub for that case
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise MissingExtraError("openvino", "cpu") from error
    return openvino


def backbone_graph(converted: ov.Model, preprocessing: Preprocessing, size: Resize, *, any_size: bool) -> ov.Model:
    """Put pixels in front of a converted backbone and average pooling behind it.

    Args:
        converted: preprocessed float32 pixels ``(n, height, width, 3)`` -> feature map ``(n, h, w, channels)``.
        any_size: accept images of any height and width and resize them in the graph by ``size.rule``; otherwise the
            input is ``(n, size.height, size.width, 3)``.

    Returns:
        A graph from ``image`` (uint8 RGB) to ``feature_map`` and ``features`` ``(n, channels)``.
    """
    ov = openvino_module()
    ops = ov.opset13
    height, width = (-1, -1) if any_size else (size.height, size.width)
    image = ops.parameter([-1, height, width, 3], np.uint8, name=IMAGE)
    pixels = resize_node(image, size) if any_size else image
    inputs = preprocess_node(pixels, preprocessing)
    [parameter] = converted.get_parameters()
    feature_map = converted.outputs[0].get_node().input_value(0)
    for target in parameter.output(0).get_target_inputs():
        target.replace_source_output(inputs.output(0))
    pooled = ops.reduce_mean(feature_map, np.array([1, 2]), keep_dims=False)
    return _model({FEATURE_MAP: ops.result(feature_map), FEATURES: ops.result(pooled)}, image)


def preprocess_node(pixels: Node, preprocessing: Preprocessing) -> Node:
    """Return float32 ``pixels * scale + offset`` in the backbone's channel order."""
    ops = openvino_module().opset13
    values = ops.convert(pixels, np.float32)
    if preprocessing.channel_order == "bgr":
        values = ops.gather(values, np.array([2, 1, 0]), np.array(3))
    scaled = ops.multiply(values, np.array(preprocessing.scale, np.float32))
    return ops.add(scaled, np.array(preprocessing.offset, np.float32))


def resize_node(image: Node, size: Resize) -> Node:
    """Return uint8 pixels ``(n, size.height, size.width, 3)`` by the one resize rule, for images of any size.

    Pillow's antialiased triangle filter is OpenVINO's ``bilinear_pillow``; on uint8 they differ by one grey level in
    about one pixel of 4,000. Sizes and offsets follow ``data.decode``.
    """
    target = np.array([size.height, size.width], np.int64)
    if size.rule == "stretch":
        return _interpolate(image, target)
    sides = _sides(image)
    if size.rule == "crop":
        scaled = _scaled_sides(sides, target, largest=True)
        return _centre_crop(_interpolate(image, scaled), scaled, target)
    scaled = _scaled_sides(sides, target, largest=False)
    return _centre_pad(_interpolate(image, scaled), scaled, target)


def _interpolate(image: Node, sides: Node) -> Node:
    return openvino_module().opset11.interpolate(
        image,
        sides,
        mode="bilinear_pillow",
        shape_calculation_mode="sizes",
        pads_begin=[0, 0, 0, 0],
        pads_end=[0, 0, 0, 0],
        axes=np.array([1, 2], np.int64),
    )


def _sides(image: Node) -> Node:
    ops = openvino_module().opset13
    return ops.gather(ops.shape_of(image), np.array([1, 2]), np.array(0))


def _scaled_sides(sides: Node, target: NDArray[np.int64], *, largest: bool) -> Node:
    """Return height and width after scaling: the image covers the target (``largest``) or fits inside it.

    With r = side * target / reference rounded half up in whole numbers, as in ``data.decode``.
    """
    ops = openvino_module().opset13
    flipped = ops.gather(sides, np.array([1, 0]), np.array(0))
    flipped_target = target[::-1].copy()
    # the other side's scale applied to this side: round(side * other target / other side), half up
    numerator = ops.add(ops.multiply(ops.multiply(sides, flipped_target), np.int64(2)), flipped)
    other = ops.divide(numerator, ops.multiply(flipped, np.int64(2)))
    if largest:
        return ops.maximum(other, target)
    return ops.maximum(ops.minimum(other, target), np.array([1, 1], np.int64))


def _centre_crop(image: Node, scaled: Node, target: NDArray[np.int64]) -> Node:
    ops = openvino_module().opset13
    start = ops.divide(ops.subtract(scaled, target), np.int64(2))
    return ops.slice(image, start, ops.add(start, target), np.array([1, 1]), np.array([1, 2]))


def _centre_pad(image: Node, scaled: Node, target: NDArray[np.int64]) -> Node:
    ops = openvino_module().opset13
    missing = ops.subtract(target, scaled)
    before = ops.divide(missing, np.int64(2))
    after = ops.subtract(missing, before)
    zero = np.array([0], np.int64)
    begin, end = ops.concat([zero, before, zero], 0), ops.concat([zero, after, zero], 0)
    return ops.pad(image, begin, end, "constant", np.uint8(0))


def add_head(graph: ov.Model, weights: Sequence[NDArray[np.float32]]) -> ov.Model:
    """Append dense layers to ``features``: ReLU between them, then ``logits`` and their softmax ``probabilities``.

    Args:
        weights: kernel ``(inputs, units)`` and bias ``(units,)`` of each dense layer, in order.
    """
    ops = openvino_module().opset13
    feature_map = graph.output(FEATURE_MAP).get_node().input_value(0)
    features = graph.output(FEATURES).get_node().input_value(0)
    values = features
    for layer in range(0, len(weights), 2):
        values = values if layer == 0 else ops.relu(values)
        values = ops.add(ops.matmul(values, weights[layer], False, False), weights[layer + 1])
    results = {
        PROBABILITIES: ops.result(ops.softmax(values, -1)),
        LOGITS: ops.result(values),
        FEATURES: ops.result(features),
        FEATURE_MAP: ops.result(feature_map),
    }
    return _model(results, graph.inputs[0].get_node())


def _model(results: dict[str, Node], image: Node) -> ov.Model:
    """Return a model whose outputs bear the given names."""
    ov = openvino_module()
    for name, result in results.items():
        result.output(0).get_tensor().set_names({name})
        result.input_value(0).get_tensor().add_names({name})
    image.output(0).get_tensor().set_names({IMAGE})
    return ov.Model(list(results.values()), [image], "headstart")
