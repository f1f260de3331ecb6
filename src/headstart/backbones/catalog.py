"""The catalogue: one row per backbone, with everything needed to use it right. Light: no Keras here.

A new row needs its numbers, and either a network of ``keras.applications`` or a function of ``architectures`` as its
``builder``. The tests run over every row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from headstart.errors import UsageError, did_you_mean


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What a network expects: ``pixels * scale + offset`` per channel, on pixels 0..255 in ``channel_order``."""

    channel_order: str
    scale: tuple[float, float, float]
    offset: tuple[float, float, float]

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the network's float32 input ``(n, h, w, 3)`` for uint8 RGB pixels ``(n, h, w, 3)``."""
        values: NDArray[np.float32] = (pixels[..., ::-1] if self.channel_order == "bgr" else pixels).astype(np.float32)
        values *= np.array(self.scale, np.float32)
        values += np.array(self.offset, np.float32)
        return values


@dataclass(frozen=True, slots=True)
class Published:
    """How the network with its own classifier does on ImageNet, as published.

    ``top_1`` and ``top_5`` are shares in 0..1, ``parameters`` are rounded as in the source, ``depth`` counts the layers
    with weights, activations included, as the source does (None: not given).
    """

    size_mb: float
    top_1: float
    top_5: float
    parameters: int
    depth: int | None
    source: str


@dataclass(frozen=True, slots=True)
class Backbone:
    """One CNN without its classifier.

    Attributes:
        builder: a class name of ``keras.applications`` or a function of ``architectures``.
        channels: of the last feature map.
        parameters: without the classifier, batch normalisation's statistics included.
        layers: Keras layers at the default size, input included.
        default_size, minimum_size: side of the square input in pixels.
        licence: of the official weights, or of the network where there are none.
        weights_source: what the official weights are and where they come from; empty when there are none.
        cached_as: the name under which Keras keeps the official weights in its own cache.
        cached_md5: their MD5 where Keras pins one, else empty.
    """

    name: str
    title: str
    builder: str
    channels: int
    parameters: int
    layers: int
    default_size: int
    minimum_size: int
    preprocessing: Preprocessing
    published: Published | None
    licence: str
    weights_source: str = ""
    cached_as: str = ""
    cached_md5: str = ""

    @property
    def pretrained(self) -> bool:
        """Tell whether official pretrained weights exist."""
        return bool(self.weights_source)

    def check_size(self, size: int) -> None:
        """Raise UsageError when the network cannot take images of ``size`` by ``size`` pixels."""
        if size < self.minimum_size:
            raise UsageError(
                f"{self.name} needs images of at least {self.minimum_size} pixels. Received: {size}. "
                f"Its usual size is {self.default_size}."
            )


MINUS_ONE_TO_ONE = Preprocessing("rgb", (1 / 127.5,) * 3, (-1.0,) * 3)
ZERO_TO_ONE = Preprocessing("rgb", (1 / 255,) * 3, (0.0,) * 3)
# Means of ImageNet's blue, green and red, as the Caffe networks were trained with.
CAFFE = Preprocessing("bgr", (1.0,) * 3, (-103.939, -116.779, -123.68))

KERAS_TABLE = "Keras documentation, page Keras Applications"

_ROWS = (
    Backbone(
        name="mobilenet",
        title="MobileNet",
        builder="MobileNet",
        channels=1024,
        parameters=3_228_864,
        layers=86,
        default_size=224,
        minimum_size=32,
        preprocessing=MINUS_ONE_TO_ONE,
        published=Published(16, 0.704, 0.895, 4_300_000, 55, KERAS_TABLE),
        licence="Apache-2.0",
        weights_source="Keras Applications, from Google's TensorFlow models; trained on ImageNet-1k",
        cached_as="mobilenet_1_0_224_tf_no_top.h5",
    ),
    Backbone(
        name="mobilenet_v2",
        title="MobileNetV2",
        builder="MobileNetV2",
        channels=1280,
        parameters=2_257_984,
        layers=154,
        default_size=224,
        minimum_size=32,
        preprocessing=MINUS_ONE_TO_ONE,
        published=Published(14, 0.713, 0.901, 3_500_000, 105, KERAS_TABLE),
        licence="Apache-2.0",
        weights_source="Keras Applications, from Google's TensorFlow models; trained on ImageNet-1k",
        cached_as="mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
    ),
    Backbone(
        name="resnet50",
        title="ResNet50",
        builder="ResNet50",
        channels=2048,
        parameters=23_587_712,
        layers=175,
        default_size=224,
        minimum_size=32,
        preprocessing=CAFFE,
        published=Published(98, 0.749, 0.921, 25_600_000, 107, KERAS_TABLE),
        licence="MIT",
        weights_source="Keras Applications, from Kaiming He's Caffe models; trained on ImageNet-1k",
        cached_as="resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        cached_md5="4d473c1dd8becc155b73f8504c6f6626",
    ),
    Backbone(
        name="small_cnn",
        title="Small CNN",
        builder="small_cnn",
        channels=128,
        parameters=98_160,
        layers=16,
        default_size=64,
        minimum_size=8,
        preprocessing=ZERO_TO_ONE,
        published=None,
        licence="Apache-2.0",
    ),
)

CATALOG: Mapping[str, Backbone] = MappingProxyType({row.name: row for row in _ROWS})


def find(name: str) -> Backbone:
    """Return the row called ``name``; ``MobileNetV2`` and ``mobilenet-v2`` also name ``mobilenet_v2``.

    Raises:
        UsageError: there is no such backbone.
    """
    by_letters = {_letters(row.name): row for row in CATALOG.values()}
    row = by_letters.get(_letters(name))
    if row is None:
        hint = did_you_mean(name.lower(), CATALOG)
        raise UsageError(f"There is no backbone {name!r}.{hint} Available: {', '.join(CATALOG)}.")
    return row


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
