"""OpenVINO graphs: uint8 pixels -> resize -> preprocessing -> backbone -> feature map, features, head.

One graph serves the study (at the network's exact input size) and the classifier (images of any size), so both give
the same numbers. This module does not import Keras; ``from_keras`` is handed a Keras model.
"""

from __future__ import annotations

import functools
import io
import logging
import sys
import tempfile
import threading
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.backbones.backbone import BRIGHTNESS, Preprocessing
from headstart.data.decode import Resize
from headstart.errors import MissingExtraError
from headstart.features.pooling import RANK_OF_FEATURES
from headstart.recipe import SMALLEST_SIGMOID, Head

if TYPE_CHECKING:
    import keras
    import openvino as ov

Node = Any

IMAGE = "image"
FEATURE_MAP = "feature_map"
FEATURES = "features"
LOGITS = "logits"
PROBABILITIES = "probabilities"

_FIRST_ARRAY = threading.Lock()


def from_keras(network: keras.Model) -> ov.Model:
    """Convert a Keras model (preprocessed float32 pixels -> feature map) to an OpenVINO model, weights in float32."""
    ov = openvino_module()
    with warnings.catch_warnings():
        # Keras remarks on how the converter calls the model; nothing the user could act on
        warnings.simplefilter("ignore")
        return ov.convert_model(network)


def to_bytes(model: ov.Model, arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return a graph and named arrays as the bytes of one npz file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "graph.xml"
        openvino_module().save_model(model, file, compress_to_fp16=False)
        parts = {name: np.frombuffer(file.with_suffix(f".{name}").read_bytes(), np.uint8) for name in ("xml", "bin")}
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **parts, **{f"array/{name}": array for name, array in arrays.items()})
    return stream.getvalue()


def from_bytes(content: bytes) -> tuple[ov.Model, dict[str, NDArray[Any]]]:
    """Return what ``to_bytes`` packed."""
    with np.load(io.BytesIO(content), allow_pickle=False) as parts:
        arrays = {name.removeprefix("array/"): parts[name] for name in parts if name.startswith("array/")}
        text, weights = parts["xml"].tobytes(), parts["bin"].tobytes()
    return openvino_module().Core().read_model(model=text, weights=weights), arrays


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
    _meet_numpy(openvino)
    return openvino


@functools.cache
def _meet_numpy(openvino: Any) -> None:
    """Let OpenVINO take its first array while no other thread does.

    Its binding looks NumPy up at the first array. Two threads that do so at once wait for each other for ever: one
    holds Python's lock, the other the binding's (2026.4, fresh processes: 3 of 20 stood still).
    """
    with _FIRST_ARRAY:
        openvino.Tensor(np.zeros(1, np.uint8))


def backbone_graph(
    converted: ov.Model, preprocessing: Preprocessing, size: Resize, *, any_size: bool, pooling: str = "average"
) -> ov.Model:
    """Put pixels in front of a converted backbone and pooling behind it.

    Args:
        converted: preprocessed float32 pixels ``(n, height, width, channels)`` -> feature map ``(n, h, w, channels)``,
            or values ``(n, values)``, which need no pooling.
        any_size: accept images of any height and width and resize them in the graph by ``size``; otherwise the input
            is ``(n, size.height, size.width, 3)``.
        pooling: ``average``, ``max`` or ``flatten``.

    Returns:
        A graph from ``image`` (uint8 RGB) to ``feature_map`` and ``features`` ``(n, values)``.
    """
    ops = openvino_module().opset13
    height, width = (-1, -1) if any_size else (size.height, size.width)
    image = ops.parameter([-1, height, width, 3], np.uint8, name=IMAGE)
    pixels = resize_node(image, size) if any_size else image
    inputs = preprocess_node(pixels, preprocessing)
    [parameter] = converted.get_parameters()
    for target in parameter.output(0).get_target_inputs():
        target.replace_source_output(inputs.output(0))
    feature_map = converted.outputs[0].get_node().input_value(0)
    features = pool_node(feature_map, pooling)
    return _model({FEATURE_MAP: ops.result(feature_map), FEATURES: ops.result(features)}, image)


def pool_node(feature_map: Node, pooling: str) -> Node:
    """Return ``(n, values)`` of a feature map ``(n, h, w, channels)``; ``(n, values)`` is passed on as it is."""
    ops = openvino_module().opset13
    if pooling == "flatten" or feature_map.get_partial_shape().rank.get_length() == RANK_OF_FEATURES:
        return ops.reshape(feature_map, np.array([0, -1]), special_zero=True)
    reduce = {"average": ops.reduce_mean, "max": ops.reduce_max}[pooling]
    return reduce(feature_map, np.array([1, 2]), keep_dims=False)


def preprocess_node(pixels: Node, preprocessing: Preprocessing) -> Node:
    """Return float32 ``pixels * scale + offset`` in the backbone's channel order, one channel for ``grey``."""
    ops = openvino_module().opset13
    values = ops.convert(pixels, np.float32)
    if preprocessing.channel_order == "grey":
        values = ops.reduce_sum(ops.multiply(values, np.array(BRIGHTNESS, np.float32)), np.array([3]), keep_dims=True)
    elif preprocessing.channel_order == "bgr":
        values = ops.gather(values, np.array([2, 1, 0]), np.array(3))
    channels = preprocessing.channels
    scaled = ops.multiply(values, np.array(preprocessing.scale[:channels], np.float32))
    return ops.add(scaled, np.array(preprocessing.offset[:channels], np.float32))


def resize_node(image: Node, size: Resize) -> Node:
    """Return uint8 pixels ``(n, size.height, size.width, 3)`` by the one resize rule, for images of any size.

    Within one grey level of ``data.resize``, which sets sizes, offsets and filters; but a ``nearest`` position exactly
    between two pixels may fall to the other one.
    """
    target = np.array([size.height, size.width], np.int64)
    if size.rule == "stretch":
        return _interpolated(image, openvino_module().opset13.constant(target), size)
    sides = _sides(image)
    if size.rule == "crop":
        scaled = _scaled_sides(sides, target, largest=True)
        return _centre_crop(_interpolated(image, scaled, size), scaled, target)
    scaled = _scaled_sides(sides, target, largest=False)
    return _centre_pad(_interpolated(image, scaled, size), scaled, target)


def _interpolated(image: Node, sides: Node, size: Resize) -> Node:
    if size.interpolation == "nearest":
        return _nearest(image, sides)
    if not size.antialias:
        return _between_neighbours(image, sides)
    return _antialiased(image, sides, f"{size.interpolation}_pillow")


def _antialiased(image: Node, sides: Node, mode: str) -> Node:
    """Return what Pillow's filters give: they run along rows, then along columns, and round and clip in between.

    Pillow 13 begins with the columns where the height loses more than twice what the width loses; older ones never do,
    which on hard edges makes some grey levels of difference. OpenVINO always begins with the rows, so the image is
    turned.
    """
    ops = openvino_module().opset13
    lost = ops.subtract(_sides(image), sides)
    of_height, of_width = (ops.gather(lost, np.array(place), np.array(0)) for place in (0, 1))
    at_least = ops.maximum(ops.multiply(of_width, np.int64(2)), np.int64(0))
    order = ops.select(ops.greater(of_height, at_least), np.array([0, 2, 1, 3]), np.array([0, 1, 2, 3]))
    turned_sides = ops.gather(sides, ops.subtract(ops.gather(order, np.array([1, 2]), np.array(0)), np.int64(1)), 0)
    # bicubic has Pillow's coefficient; bilinear does not look at it
    resampled = _resampled(ops.transpose(image, order), turned_sides, mode=mode, cube_coeff=-0.5)
    return ops.transpose(resampled, order)


def _resampled(image: Node, sides: Node, **attributes: Any) -> Node:
    return openvino_module().opset11.interpolate(
        image,
        sides,
        shape_calculation_mode="sizes",
        pads_begin=[0, 0, 0, 0],
        pads_end=[0, 0, 0, 0],
        axes=np.array([1, 2], np.int64),
        **attributes,
    )


def _between_neighbours(image: Node, sides: Node) -> Node:
    """Return bilinear values without antialias, rounded half up."""
    ops = openvino_module().opset13
    values = _resampled(
        ops.convert(image, np.float32), sides, mode="linear_onnx", coordinate_transformation_mode="half_pixel"
    )
    return ops.convert(ops.round(values, "half_away_from_zero"), np.uint8)


def _nearest(image: Node, sides: Node) -> Node:
    """Return the pixels at ``floor((i + 0.5) * source / target)``, in whole numbers, of both axes."""
    ops = openvino_module().opset13
    source = _sides(image)
    for place, axis in enumerate((1, 2)):
        here, there = (ops.gather(each, np.array(place), np.array(0)) for each in (source, sides))
        steps = ops.range(np.int64(0), there, np.int64(1), "i64")
        doubled = ops.multiply(ops.add(ops.multiply(steps, np.int64(2)), np.int64(1)), here)
        image = ops.gather(image, ops.divide(doubled, ops.multiply(there, np.int64(2))), np.array(axis))
    return image


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


def add_head(graph: ov.Model, head: Head, weights: Sequence[NDArray[np.float32]]) -> ov.Model:
    """Append a head's dense layers to ``features``: then come ``logits`` and their softmax ``probabilities``.

    For a sigmoid output the logits are the logarithms of its clipped values, so that their softmax are the values
    normalised to sum 1, as in Keras' categorical cross-entropy.

    Args:
        weights: kernel ``(inputs, units)`` and bias ``(units,)`` of each dense layer, in order, the output last.
    """
    feature_map, features = pooled_nodes(graph)
    logits = head_node(features, head, weights)
    probabilities = openvino_module().opset13.softmax(logits, -1)
    return classifier_model(
        graph.inputs[0].get_node(), probabilities, logits, features=features, feature_map=feature_map
    )


def pooled_nodes(graph: ov.Model) -> tuple[Node, Node]:
    """Return the outputs ``feature_map`` and ``features`` of a graph, to be led on."""
    feature_map, features = (graph.output(name).get_node().input_value(0) for name in (FEATURE_MAP, FEATURES))
    return feature_map, features


def head_node(features: Node, head: Head, weights: Sequence[NDArray[np.float32]]) -> Node:
    """Return the logits ``(n, classes)`` of features ``(n, values)``, as ``add_head`` says."""
    ops = openvino_module().opset13
    layers = head.dense_layers(classes=len(weights[-1]))
    values = features
    for layer, kernel, bias in zip(layers, weights[::2], weights[1::2], strict=True):
        values = _activated(ops.add(ops.matmul(values, kernel, False, False), bias), layer.activation)
    if head.output == "sigmoid":
        values = ops.log(ops.clamp(ops.sigmoid(values), SMALLEST_SIGMOID, 1 - SMALLEST_SIGMOID))
    return values


def classifier_model(image: Node, probabilities: Node, logits: Node, *, features: Node, feature_map: Node) -> ov.Model:
    """Return a model with the four outputs of a classifier."""
    ops = openvino_module().opset13
    nodes = {PROBABILITIES: probabilities, LOGITS: logits, FEATURES: features, FEATURE_MAP: feature_map}
    return _model({name: ops.result(node) for name, node in nodes.items()}, image)


def _activated(values: Node, activation: str) -> Node:
    ops = openvino_module().opset13
    return values if activation == "linear" else {"relu": ops.relu, "tanh": ops.tanh}[activation](values)


def _model(results: dict[str, Node], image: Node) -> ov.Model:
    """Return a model whose outputs bear the given names."""
    ov = openvino_module()
    for name, result in results.items():
        result.output(0).get_tensor().set_names({name})
        result.input_value(0).get_tensor().add_names({name})
    image.output(0).get_tensor().set_names({IMAGE})
    return ov.Model(list(results.values()), [image], "headstart")
