"""Keras networks of the catalogue: those of ``keras.applications`` and those written here."""

from __future__ import annotations

import collections
import contextlib
import functools
import importlib
import math
import random
import re
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.backbones.backbone import Backbone, Preprocessing
from headstart.backbones.engine import keras_module
from headstart.backbones.own_networks import NETWORKS

if TYPE_CHECKING:
    import keras

# Part of the cache's key: raise it when a seed gives other weights than before.
RANDOM_VERSION = 1
# What the official weights of EfficientNet were trained with, beside its normalisation.
EFFICIENTNET_DEVIATIONS = (0.229, 0.224, 0.225)
# Where Keras keeps the last number given to each kind of layer.
_NUMBERS = "object_name_uids"
# Where it keeps variables that are still without a value.
_WAITING = "uninitialized_variables"


def build(backbone: Backbone, *, image_size: int, seed: int | None = None, channels: int = 3) -> keras.Model:
    """Return a network without its classifier, its weights random.

    It maps preprocessed float32 ``(n, size, size, channels)`` to the last feature map ``(n, h, w, channels)``, or to
    ``(n, units)`` where it ends in a dense layer. Its layers have the names that a fresh process would give them. With
    a ``seed`` the weights depend on it alone: the same bits in every process.

    Raises:
        UsageError: the image size is below what the network can take, or it cannot take so many channels.
    """
    backbone.check_size(image_size)
    backbone.check_channels(channels)
    shape = (image_size, image_size, channels)
    own = NETWORKS.get(backbone.builder)
    # the first import draws random numbers itself, so it comes before the seed
    keras_module()
    with _seeded(seed), _fresh_names():
        return own(shape) if own else _from_keras(backbone, shape)


def outline(backbone: Backbone, *, image_size: int, channels: int = 3) -> keras.Model:
    """Return the network with layers, names and shapes but without values: little memory, and it cannot be run."""
    with without_values():
        return build(backbone, image_size=image_size, channels=channels)


@contextlib.contextmanager
def without_values() -> Iterator[None]:
    """Let networks be built without values for their variables."""
    keras, state = keras_module(), _keras_state()
    waiting = state.get_global_attribute(_WAITING)
    state.set_global_attribute(_WAITING, [])
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        # else Keras gives all of them values when the next scope of anybody ends
        state.set_global_attribute(_WAITING, waiting or [])


def _keras_state() -> ModuleType:
    """Return where Keras keeps what is common to all networks of a process."""
    return importlib.import_module("keras.src.backend.common.global_state")


def _from_keras(backbone: Backbone, shape: tuple[int, int, int]) -> keras.Model:
    network = getattr(keras_module().applications, backbone.builder)
    if re.fullmatch(r"EfficientNetB\d", backbone.builder):
        with without_values():
            plain = network(include_top=False, weights=None, input_shape=shape)
        return _with_deviations(plain)
    return network(include_top=False, weights=None, input_shape=shape)


def _with_deviations(network: keras.Model) -> keras.Model:
    """Return EfficientNet as Keras builds it for its official weights: one more scaling after the normalisation.

    Keras leaves that layer out where it is not asked to load the official weights itself.
    """
    keras = keras_module()

    def call(layer: Any, *inputs: Any, **settings: Any) -> Any:
        output = layer(*inputs, **settings)
        if isinstance(layer, keras.layers.Normalization):
            scale = [1 / math.sqrt(deviation) for deviation in EFFICIENTNET_DEVIATIONS]
            return keras.layers.Rescaling(scale)(output)
        return output

    image = keras.layers.Input(network.input_shape[1:], name=network.layers[0].name)
    return keras.models.clone_model(network, input_tensors=image, call_function=call)


def settle_normalization(network: keras.Model, preprocessing: Preprocessing, *, seed: int) -> None:
    """Give a random network that will stay frozen the variances of batch normalisation that suit its weights.

    With Keras' initial statistics (mean 0, variance 1) the signal of an untrained deep network fades to 1e-20, and
    heads on its features tell images apart no better than chance: a control that controls nothing. Here one pass over
    coloured squares sets each layer's variance, one number for all its channels, to the mean square of what arrives;
    the means stay 0, so the network computes what it computed before, at a scale that survives.
    """
    layers = keras_module().layers
    normalizations = [layer for layer in network.layers if isinstance(layer, layers.BatchNormalization)]
    for layer in normalizations:
        layer.call = functools.partial(_measure_and_normalize, layer)
    network(preprocessing.apply(_blotches(network.input_shape[1], seed)))
    for layer in normalizations:
        del layer.call


def _measure_and_normalize(
    layer: keras.layers.BatchNormalization, inputs: keras.KerasTensor, training: bool = False, mask: object = None
) -> keras.KerasTensor:
    ops = keras_module().ops
    layer.moving_variance.assign(ops.full_like(layer.moving_variance, ops.mean(ops.square(inputs))))
    return type(layer).call(layer, inputs, training=False)


def _blotches(side: int, seed: int) -> NDArray[np.uint8]:
    """Return 16 images of coloured squares of an eighth of the side."""
    coarse = np.random.default_rng(seed).integers(0, 256, (16, 8, 8, 3), np.uint8)
    return coarse.repeat(-(-side // 8), axis=1).repeat(-(-side // 8), axis=2)[:, :side, :side]


@contextlib.contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """Seed Python's generator, from which every Keras initialiser draws its own seed, and put its state back."""
    if seed is None:
        yield
        return
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


@contextlib.contextmanager
def _fresh_names() -> Iterator[None]:
    """Let Keras number layers without a name of their own from zero, whatever was built before in this process.

    Afterwards its numbers go on above all that are taken, so that layers added to the network get other names.
    """
    state = _keras_state()
    before = collections.Counter(state.get_global_attribute(_NUMBERS) or {})
    state.set_global_attribute(_NUMBERS, collections.defaultdict(int))
    try:
        yield
    finally:
        state.set_global_attribute(_NUMBERS, before | collections.Counter(state.get_global_attribute(_NUMBERS)))
