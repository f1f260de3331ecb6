"""Keras networks of the catalogue: those of ``keras.applications`` and those written here."""

from __future__ import annotations

import contextlib
import functools
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headstart.backbones.catalog import Backbone, Preprocessing
from headstart.backbones.engine import keras_module

if TYPE_CHECKING:
    import keras

# Part of the cache's key: raise it when a seed gives other weights than before.
RANDOM_VERSION = 1
SMALL_CNN_CHANNELS = (16, 32, 64, 128)


def build(backbone: Backbone, *, image_size: int, seed: int | None = None) -> keras.Model:
    """Return a network without its classifier, its weights random.

    It maps preprocessed float32 ``(n, size, size, 3)`` to the last feature map ``(n, h, w, channels)``. With a ``seed``
    the weights depend on it alone: the same bits in every process.

    Raises:
        UsageError: the image size is below what the network can take.
    """
    backbone.check_size(image_size)
    shape = (image_size, image_size, 3)
    applications = keras_module().applications
    with _seeded(seed):
        own = _OWN.get(backbone.builder)
        if own:
            return own(shape)
        return getattr(applications, backbone.builder)(include_top=False, weights=None, input_shape=shape)


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


def small_cnn(input_shape: tuple[int, int, int]) -> keras.Model:
    """Return the small CNN: four blocks of 3 x 3 convolution, batch normalisation and ReLU.

    The side is halved down to 4 pixels, but four times at most: by the first convolution's stride when all four halve,
    else by pooling before the later blocks. So the parameters are the same at every image size.
    """
    layers = keras_module().layers
    halvings = _halvings(input_shape[0])
    blocks = len(SMALL_CNN_CHANNELS)
    image = layers.Input(input_shape, name="image")
    values = image
    for block, channels in enumerate(SMALL_CNN_CHANNELS, start=1):
        halve = block > blocks - halvings
        if halve and block > 1:
            # overlapping windows: 3 to 5 points better on photographs of flowers than strided convolutions
            values = layers.MaxPooling2D(3, strides=2, padding="same", name=f"pool_{block}")(values)
        stride = 2 if halve and block == 1 else 1
        values = layers.Conv2D(
            channels, 3, strides=stride, padding="same", use_bias=False, name=f"convolution_{block}"
        )(values)
        # momentum for training sets of a few hundred images: 0.99 lags for the first three epochs
        values = layers.BatchNormalization(momentum=0.9, name=f"normalization_{block}")(values)
        values = layers.ReLU(name=f"relu_{block}")(values)
    return keras_module().Model(image, values, name="small_cnn")


_OWN = {"small_cnn": small_cnn}


def _halvings(side: int) -> int:
    """Return how often a side can be halved and keep at least 4 pixels, between 1 and 4."""
    return min(max(side.bit_length() - 3, 1), len(SMALL_CNN_CHANNELS))


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
