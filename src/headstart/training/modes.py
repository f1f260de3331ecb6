"""What of a network trains, and in which mode its layers run while the rest of it trains."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.backbones.engine import keras_module

if TYPE_CHECKING:
    import keras


def set_mode(network: keras.Model, cut: int, *, settled: bool) -> None:
    """Let ``layers[cut:]`` train and hold all others: they neither learn, nor drop, nor follow statistics.

    Args:
        settled: batch normalisation behind the cut uses its moving statistics and leaves them as they are, while its
            scale and shift train.
    """
    normalization = keras_module().layers.BatchNormalization
    for number, layer in enumerate(network.layers):
        for inner in _with_inner_layers(layer):
            inner.trainable = number >= cut
            if number < cut or (settled and isinstance(inner, normalization)):
                _hold(inner)
            else:
                _release(inner)


def set_free(network: keras.Model) -> None:
    """Let every layer train and run in the mode that it is told."""
    set_mode(network, 0, settled=False)


def measure_statistics(model: keras.Model, layers: Iterable[Any], batches: Iterable[NDArray[Any]]) -> None:
    """Set the moving statistics of batch normalisation to those of some images under the present weights.

    The variance is that of all images together: the mean of the batches' variances and the variance of their means.

    Args:
        model: of which ``layers`` are a part, in the mode of training.
        batches: what the model takes.
    """
    keras = keras_module()
    kind, numpy = keras.layers.BatchNormalization, keras.ops.convert_to_numpy
    found = [inner for layer in layers for inner in _with_inner_layers(layer) if isinstance(inner, kind)]
    if not found:
        return
    momenta = [layer.momentum for layer in found]
    means: list[list[NDArray[Any]]] = []
    variances: list[list[NDArray[Any]]] = []
    sizes: list[int] = []
    for layer in found:
        # so that the moving statistics are those of the last batch alone
        layer.momentum = 0.0
    try:
        for batch in batches:
            model(batch, training=True)
            sizes.append(len(batch))
            means.append([numpy(layer.moving_mean.value) for layer in found])
            variances.append([numpy(layer.moving_variance.value) for layer in found])
    finally:
        for layer, momentum in zip(found, momenta, strict=True):
            layer.momentum = momentum
    for layer, of_means, of_variances in zip(
        found, zip(*means, strict=True), zip(*variances, strict=True), strict=True
    ):
        # the last batch may be a smaller one
        mean = np.average(of_means, axis=0, weights=sizes)
        spread = np.square(np.array(of_means) - mean)
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(np.average(np.array(of_variances) + spread, axis=0, weights=sizes))


def _with_inner_layers(layer: Any) -> list[Any]:
    """Return a layer and, where it is a network itself, the layers in it."""
    # one by one: Keras 3.15 on TensorFlow passes ``trainable`` on only where it changes
    return list(layer._flatten_layers())


def _hold(layer: Any) -> None:
    """Let a layer run as in inference whatever it is told; what it has to learn may still train."""
    # Keras 3.15 overrules ``training=False`` inside a functional model with the mode of the whole model
    if "training" in inspect.signature(type(layer).call).parameters:
        layer.call = functools.partial(_infer, layer)


def _release(layer: Any) -> None:
    if "call" in vars(layer):
        del layer.call


def _infer(layer: Any, *inputs: Any, training: bool | None = None, **others: Any) -> Any:
    return type(layer).call(layer, *inputs, training=False, **others)
