"""The whole network in Keras again: our own builder, the head's layers, and the weights of a bundle.

Only layers that Keras itself brings, and no Lambda: what is saved of it can be loaded without trusting the file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.backbones import architectures, catalog
from headstart.backbones.backbone import BRIGHTNESS, Preprocessing
from headstart.backbones.engine import keras_module
from headstart.backbones.own_networks import averaging
from headstart.classifier.bundle import BackboneInfo, Bundle, HeadInfo
from headstart.errors import ClassifierError
from headstart.features import graph
from headstart.recipe import SMALLEST_SIGMOID, Head

if TYPE_CHECKING:
    import keras

Weights = Mapping[str, NDArray[Any]]

BACKBONE, HEAD, PREPROCESSING = "backbone/", "head/dense_{}/{}", "preprocessing"


def keras_model(bundle: Bundle) -> keras.Model:
    """Return the network of a bundle with its weights.

    It maps uint8 RGB pixels ``image`` ``(n, height, width, 3)`` of the network's own size to a dict of ``logits`` and
    calibrated ``probabilities``, both float32 ``(n, classes)``: what the bundle's graph and temperature give, to 1e-5.

    Raises:
        ClassifierError: the bundle does not say how its network is built, or its arrays do not fit that network.
    """
    backbone, head = parts(bundle)
    weights, size = bundle.weights(), bundle.info.input
    image = keras_module().layers.Input((size.height, size.width, 3), dtype="uint8", name=graph.IMAGE)
    network = _network(bundle, backbone, weights)
    values = network(_preprocessed(image, backbone.preprocessing))
    model = _with_head(image, _pooled(values, head.pooling), bundle, head.as_head())
    _fill_head(model, head.as_head(), weights, bundle)
    return model


def parts(bundle: Bundle) -> tuple[BackboneInfo, HeadInfo]:
    """Return how the bundle's network is built.

    Raises:
        ClassifierError: the bundle does not say so: it is an older one, or joins several networks.
    """
    info = bundle.info
    if info.backbone is None or info.head is None:
        raise ClassifierError(
            f"{bundle.path} does not say how to build its network in Keras: it joins several networks, or an older "
            "headstart saved it. It can be exported to openvino and zip; for other formats export the classifier of a "
            "single network, or run the study again."
        )
    return info.backbone, info.head


def _network(bundle: Bundle, info: BackboneInfo, weights: Weights) -> keras.Model:
    """Return the backbone with the bundle's weights, its layers Keras' own."""
    preprocessing, row = info.preprocessing, catalog.find(info.name)
    network = architectures.build(row, image_size=info.image_size, channels=preprocessing.channels)
    for variable in network.variables:
        _assign(variable, weights, BACKBONE + variable.path, bundle)
    return _with_keras_layers(network)


def _with_keras_layers(network: keras.Model) -> keras.Model:
    """Return the network with Keras' own layers in place of the house's adaptive pooling; all others are kept."""
    keras = keras_module()
    strange = {layer.name for layer in network.layers if not type(layer).__module__.startswith("keras.")}
    if not strange:
        return network

    def call(layer: Any, *inputs: Any, **settings: Any) -> Any:
        return _pooled_to(layer.output.shape[1], *inputs) if layer.name in strange else layer(*inputs, **settings)

    image = keras.layers.Input(network.input_shape[1:], name=network.layers[0].name)
    return keras.models.clone_model(
        network, input_tensors=image, clone_function=lambda layer: layer, call_function=call
    )


def _pooled_to(side: int, values: keras.KerasTensor) -> keras.KerasTensor:
    """Return maps ``(n, h, w, c)`` averaged to ``(n, side, side, c)`` by two products with fixed matrices.

    Keras' layer for it cannot enlarge, which small images need.
    """
    layers = keras_module().layers
    values = layers.Permute((3, 1, 2))(values)
    for axis in ("columns", "rows"):
        layer = layers.Dense(side, use_bias=False, trainable=False, name=f"average_{axis}")
        averaged = layer(values)
        layer.set_weights([averaging(values.shape[-1], side).T])
        values = layers.Permute((1, 3, 2))(averaged)
    return layers.Permute((2, 3, 1))(values)


def _preprocessed(pixels: keras.KerasTensor, preprocessing: Preprocessing) -> keras.KerasTensor:
    """Return the network's input. What mixes channels is a product with a fixed matrix."""
    layers, scale, offset = keras_module().layers, preprocessing.scale, preprocessing.offset
    if preprocessing.channel_order == "rgb":
        return layers.Rescaling(list(scale), list(offset), name=PREPROCESSING)(pixels)
    values = layers.Rescaling(1.0, name="pixels")(pixels)
    channels = preprocessing.channels
    layer = layers.Dense(channels, name=PREPROCESSING, trainable=False)
    prepared = layer(values)
    mixing = {"bgr": np.eye(3)[::-1], "grey": np.array(BRIGHTNESS)[:, np.newaxis]}[preprocessing.channel_order]
    layer.set_weights([mixing * np.array(scale[:channels]), np.array(offset[:channels])])
    return prepared


def _pooled(values: keras.KerasTensor, pooling: str) -> keras.KerasTensor:
    layers = keras_module().layers
    if len(values.shape) == 2:
        return values
    kinds = {"average": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D, "flatten": layers.Flatten}
    return kinds[pooling](name="pooling")(values)


def _with_head(image: keras.KerasTensor, values: keras.KerasTensor, bundle: Bundle, head: Head) -> keras.Model:
    """Return the model from the image to its outputs; dropout, which only training knows, is left out."""
    keras = keras_module()
    classes = len(bundle.info.classes)
    for number, layer in enumerate(head.dense_layers(classes)):
        values = keras.layers.Dense(layer.units, activation=layer.activation, name=_dense_name(number))(values)
    logits = _output_logits(values, head.output)
    scaled = keras.layers.Rescaling(1 / bundle.info.temperature, name="calibration")(logits)
    probabilities = keras.layers.Softmax(name=graph.PROBABILITIES)(scaled)
    return keras.Model(image, {graph.PROBABILITIES: probabilities, graph.LOGITS: logits}, name="headstart")


def _output_logits(values: keras.KerasTensor, output: str) -> keras.KerasTensor:
    """Return what the softmax takes: for ``sigmoid`` the logarithms of the sigmoids, clipped as in training.

    Clipping the sigmoid to s .. 1 - s is clipping its argument to plus and minus log((1 - s) / s).
    """
    layers = keras_module().layers
    if output != "sigmoid":
        return values
    edge = math.log((1 - SMALLEST_SIGMOID) / SMALLEST_SIGMOID)
    raised = layers.Rescaling(1.0, edge, name="raised")(values)
    clipped = layers.ReLU(max_value=2 * edge, name="clipped")(raised)
    lowered = layers.Rescaling(1.0, -edge, name="lowered")(clipped)
    return layers.Activation("log_sigmoid", name=graph.LOGITS)(lowered)


def _fill_head(model: keras.Model, head: Head, weights: Weights, bundle: Bundle) -> None:
    for number in range(len(head.dense_layers(len(bundle.info.classes)))):
        layer = model.get_layer(_dense_name(number))
        for kind, variable in (("kernel", layer.kernel), ("bias", layer.bias)):
            _assign(variable, weights, HEAD.format(number, kind), bundle)


def _dense_name(number: int) -> str:
    return f"head_dense_{number}"


def _assign(variable: Any, weights: Weights, name: str, bundle: Bundle) -> None:
    if name not in weights:
        raise ClassifierError(f"{bundle.path} holds no weights {name}. Run the study again.")
    if weights[name].shape != tuple(variable.shape):
        shapes = f"{weights[name].shape}, not {tuple(variable.shape)}"
        raise ClassifierError(f"The weights {name} in {bundle.path} have the shape {shapes}: it is of another network.")
    variable.assign(weights[name])
