"""What the catalogue says of one backbone. Light: no Keras here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.errors import UsageError, did_you_mean

# Red, green and blue in the brightness of a pixel: ITU-R BT.601, as Pillow's mode L.
BRIGHTNESS = (0.299, 0.587, 0.114)


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What a network expects: ``pixels * scale + offset`` per channel, on pixels 0..255 in ``channel_order``.

    ``channel_order`` is ``rgb``, ``bgr`` or ``grey``: one channel, the brightness of the pixel, of which the first
    scale and offset hold (all three are equal).
    """

    channel_order: str
    scale: tuple[float, float, float]
    offset: tuple[float, float, float]

    @property
    def channels(self) -> int:
        """Channels that the network receives: 1 for grey, else 3."""
        return 1 if self.channel_order == "grey" else 3

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the network's float32 input ``(n, h, w, channels)`` for uint8 RGB pixels ``(n, h, w, 3)``."""
        values = self._ordered(pixels)
        values *= np.array(self.scale[: self.channels], np.float32)
        values += np.array(self.offset[: self.channels], np.float32)
        return values

    def _ordered(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self.channel_order == "grey":
            return (pixels.astype(np.float32) @ np.array(BRIGHTNESS, np.float32))[..., np.newaxis]
        return (pixels[..., ::-1] if self.channel_order == "bgr" else pixels).astype(np.float32)

    def in_grey(self) -> Preprocessing:
        """Return the same for one channel: scale and offset are the means over the channels."""
        return Preprocessing("grey", (sum(self.scale) / 3,) * 3, (sum(self.offset) / 3,) * 3)


MINUS_ONE_TO_ONE = Preprocessing("rgb", (1 / 127.5,) * 3, (-1.0,) * 3)
ZERO_TO_ONE = Preprocessing("rgb", (1 / 255,) * 3, (0.0,) * 3)
AS_THEY_ARE = Preprocessing("rgb", (1.0,) * 3, (0.0,) * 3)
# Means of ImageNet's blue, green and red, as the Caffe networks were trained with.
CAFFE = Preprocessing("bgr", (1.0,) * 3, (-103.939, -116.779, -123.68))
# Division by 255, then ImageNet's means 0.485, 0.456, 0.406 and deviations 0.229, 0.224, 0.225.
TORCH = Preprocessing(
    "rgb",
    (1 / (255 * 0.229), 1 / (255 * 0.224), 1 / (255 * 0.225)),
    (-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225),
)


@dataclass(frozen=True, slots=True)
class Published:
    """How the network with its own classifier does on ImageNet, as published.

    ``top_1`` and ``top_5`` are shares in 0..1, ``parameters`` are rounded as in the source, ``depth`` counts the layers
    with weights, activations included, as the source does. None: the source does not say.
    """

    size_mb: float | None
    top_1: float
    top_5: float | None
    parameters: int
    depth: int | None
    source: str


@dataclass(frozen=True, slots=True)
class Backbone:
    """One CNN without its classifier.

    Attributes:
        builder: a class name of ``keras.applications`` or a function of ``own_networks``.
        channels: of the last feature map; for a network that ends in a dense layer, its units.
        parameters: without the classifier, batch normalisation's statistics included.
        layers: Keras layers at the default size, input included.
        default_size, minimum_size: side of the square input in pixels.
        licence: of the official weights, or of the network where there are none.
        weights_source: what the official weights are and where they come from; empty when there are none.
        cached_as: the name under which Keras keeps the official weights in its own cache; empty where Keras has none.
        cached_md5: their MD5, or SHA-256 (64 digits), where Keras pins one, else empty.
        rgb_only: whether the network itself normalises red, green and blue, so that it cannot take one channel.
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
    rgb_only: bool = False

    @property
    def pretrained(self) -> bool:
        """Tell whether official pretrained weights exist."""
        return bool(self.weights_source)

    @property
    def downloadable(self) -> bool:
        """Tell whether Keras can download the official weights."""
        return bool(self.cached_as)

    def check_size(self, size: int) -> None:
        """Raise UsageError when the network cannot take images of ``size`` by ``size`` pixels."""
        if size < self.minimum_size:
            raise UsageError(
                f"{self.name} needs images of at least {self.minimum_size} pixels. Received: {size}. "
                f"Its usual size is {self.default_size}."
            )

    def check_channels(self, channels: int) -> None:
        """Raise UsageError when the network cannot take images of so many channels: 3, for most networks also 1."""
        if channels not in (1, 3):
            raise UsageError(f"{self.name} takes images of 3 channels, or of 1 (grey). Received: {channels}.")
        if channels == 1 and self.rgb_only:
            raise UsageError(
                f"{self.name} normalises red, green and blue itself, so it takes no images of one channel. "
                'Use colour = "rgb", which repeats grey three times, or another backbone.'
            )

    def input_preprocessing(self, kind: str = "own", colour: str = "rgb") -> Preprocessing:
        """Return what turns pixels into the network's input.

        Args:
            kind: ``own`` (what the network was trained with), ``unit`` (pixels / 255) or ``none`` (pixels 0..255).
            colour: ``rgb``, or ``grey``: one channel, with the means of scale and offset over the three.

        Raises:
            UsageError: there is no such kind or colour, or the network cannot take grey images.
        """
        kinds = {"own": self.preprocessing, "unit": ZERO_TO_ONE, "none": AS_THEY_ARE}
        if kind not in kinds:
            raise UsageError(f"preprocessing must be own, unit or none. Received: {kind!r}.{did_you_mean(kind, kinds)}")
        if colour not in ("rgb", "grey"):
            raise UsageError(f"colour must be rgb or grey. Received: {colour!r}.")
        chosen = kinds[kind].in_grey() if colour == "grey" else kinds[kind]
        self.check_channels(chosen.channels)
        return chosen
