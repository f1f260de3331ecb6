"""Pooling: from a feature map to the values that heads and caches take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.backbones.engine import keras_module

if TYPE_CHECKING:
    import keras

POOLING_LAYERS = {"average": "GlobalAveragePooling2D", "max": "GlobalMaxPooling2D", "flatten": "Flatten"}
RANK_OF_FEATURES = 2


def pool(values: Any, pooling: str) -> Any:
    """Pool a feature map; what is flat already stays as it is."""
    return values if len(values.shape) == RANK_OF_FEATURES else pooling_layer(pooling)(values)


def pooling_layer(pooling: str) -> keras.Layer:
    """Return the Keras layer of ``average``, ``max`` or ``flatten``."""
    return getattr(keras_module().layers, POOLING_LAYERS[pooling])(name=f"{pooling}_pooling")
