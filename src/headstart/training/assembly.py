"""The Keras models of one fine-tuning: entry, tail and head put together, all on the same layers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart import recipe
from headstart.backbones.backbone import BRIGHTNESS, Preprocessing
from headstart.backbones.engine import keras_module
from headstart.features.cut import crossing, crossing_shapes, segment_model, tail_model, tail_variables
from headstart.features.pooling import pool
from headstart.training.heads import SMALLEST_SIGMOID

if TYPE_CHECKING:
    import keras

# Seeds of dropout in the backbone follow those of the head with room between them.
BACKBONE_SEEDS = 1000


class Assembly:
    """A backbone, its entry and its head.

    Args:
        network: functional: preprocessed float32 pixels -> feature map or features.
        preprocessing: of uint8 RGB pixels ``(images, height, width, 3)``; None: the entry takes flat features
            ``(images, values)`` float32 that cross the cut ``start``.
        start: the first layer that can train.

    Attributes:
        head: pooled features -> logits; its layers are shared by all models.
        whole: from the entry to the logits.
        backbone_variables: of layers ``start`` and later.
        head_variables: kernel, bias, kernel, bias, ...
    """

    def __init__(
        self, network: keras.Model, head: recipe.Head, classes: int, *, preprocessing: Preprocessing | None, start: int
    ) -> None:
        self.network, self.start = network, start
        self.layers = len(network.layers)
        self._pooling, self._preprocessing = head.pooling, preprocessing
        self._entry = start if preprocessing is None else 0
        self.head = build_head(head, pooled_size(network, head.pooling), classes)
        self.backbone_variables = tail_variables(network, start)
        self.head_variables = [weight for layer in self.head.layers for weight in layer.weights]
        self._bridges: dict[int, keras.Model] = {}
        self._tails: dict[int, keras.Model] = {self.layers: self.head}
        self.whole = self._model(preprocessing, self._entry, self.layers, with_head=True)

    def is_bridge(self, cut: int) -> bool:
        """Tell whether there is something to compute between the entry and a cut."""
        before = {id(tensor) for tensor in crossing(self.network, self._entry)}
        return cut == self.layers or before != {id(tensor) for tensor in crossing(self.network, cut)}

    def bridge(self, cut: int) -> keras.Model:
        """Return the model from the entry to the flat features ``(images, values)`` that cross a cut.

        At the end of the network these are the pooled features.
        """
        if cut not in self._bridges:
            self._bridges[cut] = self._model(self._preprocessing, self._entry, cut, with_head=False)
        return self._bridges[cut]

    def tail(self, cut: int) -> keras.Model:
        """Return the model from what ``bridge`` gives to the logits."""
        if cut not in self._tails:
            self._tails[cut] = self._model(None, cut, self.layers, with_head=True)
        return self._tails[cut]

    def bridge_bytes(self, cut: int) -> int:
        """Return the size of what ``bridge`` gives for one image."""
        return 4 * int(self.bridge(cut).output_shape[-1])

    def seeds(self) -> list[tuple[int, Any]]:
        """Return the state of every generator that draws in training, with a number that does not depend on the cut."""
        numbered = [*enumerate(_seed_states(self.head.layers))]
        before = len(_seed_states(self.network.layers[: self.start]))
        behind = _seed_states(self.network.layers[self.start :])
        return [*numbered, *enumerate(behind, BACKBONE_SEEDS + before)]

    def _model(self, preprocessing: Preprocessing | None, first: int, last: int, *, with_head: bool) -> keras.Model:
        """Return a model from pixels (with preprocessing) or flat features at ``first`` to ``last`` or the logits."""
        keras, network = keras_module(), self.network
        if preprocessing is None:
            shapes = crossing_shapes(network, first)
            inputs = keras.Input((sum(math.prod(shape) for shape in shapes),), dtype="float32")
            tensors = _split(inputs, shapes)
        else:
            inputs = keras.Input((*network.input_shape[1:3], 3), dtype="uint8")
            tensors = [_preprocess(inputs, preprocessing)]
        if last < self.layers:
            crossed = segment_model(network, first, last)(tensors)
            # Keras unwraps a list of one
            return keras.Model(inputs, _flatten(crossed if isinstance(crossed, list) else [crossed]))
        pooled = pool(tail_model(network, first)(tensors), self._pooling)
        return keras.Model(inputs, self.head(pooled) if with_head else pooled)


def pooled_size(network: keras.Model, pooling: str) -> int:
    """Return the number of values that pooling leaves of the network's output."""
    shape = network.output_shape[1:]
    return int(math.prod(shape) if pooling == "flatten" else shape[-1])


def build_head(head: recipe.Head, inputs: int, classes: int) -> keras.Model:
    """Return the model of a head: pooled features ``(images, inputs)`` -> logits ``(images, classes)``.

    The softmax of the logits are the probabilities, for sigmoid outputs the normalised ones.
    """
    keras = keras_module()
    pooled = values = keras.Input((inputs,), dtype="float32", name="pooled")
    dense = head.dense_layers(classes)
    for number, settings in enumerate(dense, start=1):
        if settings.dropout:
            # Without a seed, the PyTorch backend would draw from a generator that no one resets.
            values = keras.layers.Dropout(settings.dropout, seed=0, name=f"dropout_{number}")(values)
        regularizer = keras.regularizers.L2(settings.l2) if settings.l2 else None
        name = "output" if number == len(dense) else f"dense_{number}"
        layer = keras.layers.Dense(
            settings.units, activation=settings.activation, kernel_regularizer=regularizer, name=name
        )
        values = layer(values)
    return keras.Model(pooled, _sigmoid_logits(values) if head.output == "sigmoid" else values)


def _sigmoid_logits(values: Any) -> Any:
    """Return logits whose softmax are the sigmoids divided by their sum, as Keras' cross-entropy takes them."""
    ops = keras_module().ops
    return ops.log(ops.clip(ops.sigmoid(values), SMALLEST_SIGMOID, 1 - SMALLEST_SIGMOID))


def _preprocess(pixels: Any, preprocessing: Preprocessing) -> Any:
    """Return the network's input of uint8 RGB pixels, as ``Preprocessing.apply`` computes it."""
    ops = keras_module().ops
    scale, offset = (np.array(values, np.float32) for values in (preprocessing.scale, preprocessing.offset))
    values = ops.cast(pixels, "float32")
    if preprocessing.channel_order == "grey":
        grey = ops.sum(values * np.array(BRIGHTNESS, np.float32), axis=-1, keepdims=True)
        return grey * scale[0] + offset[0]
    if preprocessing.channel_order == "bgr":
        values = ops.flip(values, axis=-1)
    return values * scale + offset


def _split(flat: Any, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    """Return the tensors that lie one after another in flat features."""
    ends = list(itertools.accumulate(math.prod(shape) for shape in shapes))
    reshape = keras_module().ops.reshape
    parts = zip([0, *ends], ends, shapes, strict=False)
    return [reshape(flat[:, begin:end], (-1, *shape)) for begin, end, shape in parts]


def _flatten(tensors: Sequence[Any]) -> Any:
    """Lay tensors one after another, image by image."""
    ops = keras_module().ops
    parts = [ops.reshape(one, (-1, math.prod(one.shape[1:]))) for one in tensors]
    return ops.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]


def _seed_states(layers: Sequence[Any]) -> list[Any]:
    """Return the variables of layers that are no weights: the states of their generators."""
    weights = {id(weight) for layer in layers for weight in layer.weights}
    return [variable for layer in layers for variable in layer.variables if id(variable) not in weights]
