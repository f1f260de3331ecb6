"""The one resize rule of the house: Pillow's antialiased triangle filter (BILINEAR) after integer-exact geometry.

All sizes and offsets come from integer arithmetic, so that an exported graph can rebuild them exactly. With a source
of ``height x width`` and a target of ``H x W`` pixels, and ``round(a / b) = (2 * a + b) // (2 * b)`` (half up):

``stretch``
    scaled to ``H x W``; the aspect ratio is given up.
``crop``
    scaled until the target is covered, then the centre is cut out. If ``H * width >= W * height`` the height decides:
    scaled height ``H``, scaled width ``max(W, round(width * H / height))``; else scaled width ``W`` and scaled height
    ``max(H, round(height * W / width))``. The window starts at ``(scaled - target) // 2`` on both axes.
``pad``
    scaled until it fits, then centred on black. If ``H * width <= W * height`` the height decides: scaled height ``H``,
    scaled width ``min(W, max(1, round(width * H / height)))``; else likewise with the width. The image starts at
    ``(target - scaled) // 2`` on both axes.

A recipe may ask for another filter: Pillow's BICUBIC (antialiased) or NEAREST; or bilinear without antialias, the rule
of ``tf.image.resize`` and of Keras' ``image_dataset_from_directory``: output pixel ``i`` lies at ``(i + 0.5) * source /
target - 0.5``, between the two nearest pixels of each axis, those at the edge repeated. Keras goes on with fractions;
here the value is rounded, half up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

RESIZE_VERSION = 1
"""Raised whenever the same image and size would give other pixels: caches of what was computed from them end there."""

_WINDOW_ONLY_ABOVE = 2**25
"""Scaled pixels above which ``crop`` computes the window alone: a strip 10 pixels high would else fill the memory."""


_FILTERS = {"bilinear": "BILINEAR", "bicubic": "BICUBIC", "nearest": "NEAREST"}
"""Interpolation -> the name of Pillow's filter."""


@dataclass(frozen=True, slots=True)
class Resize:
    """A target size in pixels, the rule that reaches it (``stretch``, ``crop``, ``pad``) and the filter.

    ``interpolation`` is ``bilinear``, ``bicubic`` or ``nearest``. Only bilinear can be without ``antialias``; nearest
    has none.
    """

    height: int
    width: int
    rule: str = "stretch"
    interpolation: str = "bilinear"
    antialias: bool = True

    def __post_init__(self) -> None:
        if self.rule not in ("stretch", "crop", "pad") or min(self.height, self.width) < 1:
            raise ValueError(f"Resize should have sides of at least 1 and stretch, crop or pad. Received: {self}")
        if self.interpolation not in _FILTERS or not (self.antialias or self.interpolation == "bilinear"):
            raise ValueError(
                "Resize should be bilinear, bicubic or nearest, and without antialias only bilinear. "
                f"Received: {self.interpolation!r}, antialias={self.antialias}"
            )

    @classmethod
    def whole(cls, height: int, width: int, *, longest: int) -> Resize:
        """Return the size of a whole image, its own ratio of sides kept, whose longer side has ``longest`` pixels.

        Each side has at least one pixel, also of an image that is said to have none.
        """
        scale = longest / max(height, width, 1)
        return cls(max(1, round(height * scale)), max(1, round(width * scale)))

    @property
    def label(self) -> str:
        """The rule in words: ``stretch``, ``stretch bicubic``, ``crop bilinear without antialias``."""
        if not self.antialias:
            return f"{self.rule} {self.interpolation} without antialias"
        return self.rule if self.interpolation == "bilinear" else f"{self.rule} {self.interpolation}"


@dataclass(frozen=True, slots=True)
class Geometry:
    """The size after scaling, and where the cut window (``crop``) or the image (``pad``) starts; all in pixels."""

    height: int
    width: int
    top: int
    left: int


def geometry(height: int, width: int, size: Resize) -> Geometry:
    """Return how a source of ``height x width`` pixels reaches ``size``: the arithmetic of the module's docstring."""
    if size.rule == "stretch":
        return Geometry(size.height, size.width, 0, 0)
    by_height = size.height * width - size.width * height
    if size.rule == "crop":
        if by_height >= 0:
            scaled = size.height, max(size.width, _rounded(width * size.height, height))
        else:
            scaled = max(size.height, _rounded(height * size.width, width)), size.width
        return Geometry(*scaled, (scaled[0] - size.height) // 2, (scaled[1] - size.width) // 2)
    if by_height <= 0:
        scaled = size.height, min(size.width, max(1, _rounded(width * size.height, height)))
    else:
        scaled = min(size.height, max(1, _rounded(height * size.width, width))), size.width
    return Geometry(*scaled, (size.height - scaled[0]) // 2, (size.width - scaled[1]) // 2)


def resized(image: Image.Image, size: Resize) -> Image.Image:
    """Return a grey or RGB image brought to ``size``.

    A ``crop`` whose scaled image would exceed 2**25 pixels computes its window alone, with the same filter on the same
    positions (within one grey level of the full way; for nearest, a pixel on a border may go to the other side).
    """
    from PIL import Image

    plan = geometry(image.height, image.width, size)
    if not size.antialias:
        scaled = _between_neighbours(image, plan, size)
    elif size.rule == "crop" and plan.height * plan.width > _WINDOW_ONLY_ABOVE:
        scaled = _window(image, plan, size)
    else:
        scaled = image.resize((plan.width, plan.height), _filter(size))
    if scaled.size == (size.width, size.height):
        return scaled
    if size.rule == "crop":
        return scaled.crop((plan.left, plan.top, plan.left + size.width, plan.top + size.height))
    canvas = Image.new(image.mode, (size.width, size.height))
    canvas.paste(scaled, (plan.left, plan.top))
    return canvas


def _filter(size: Resize) -> Image.Resampling:
    from PIL import Image

    return Image.Resampling[_FILTERS[size.interpolation]]


def _window(image: Image.Image, plan: Geometry, size: Resize) -> Image.Image:
    across, down = image.width / plan.width, image.height / plan.height
    left, top = plan.left * across, plan.top * down
    right = min(image.width, left + size.width * across)
    bottom = min(image.height, top + size.height * down)
    return image.resize((size.width, size.height), _filter(size), box=(left, top, right, bottom))


def _between_neighbours(image: Image.Image, plan: Geometry, size: Resize) -> Image.Image:
    """Return bilinear values without antialias: of the whole scaled image, or of the window that ``crop`` cuts out."""
    from PIL import Image

    top, left = (plan.top, plan.left) if size.rule == "crop" else (0, 0)
    rows = _neighbours(image.height, plan.height, np.arange(top, top + min(size.height, plan.height)))
    columns = _neighbours(image.width, plan.width, np.arange(left, left + min(size.width, plan.width)))
    pixels = np.asarray(image)
    depth = (1,) * (pixels.ndim - 2)
    upper = _blended(pixels[rows.before], columns, (1, -1, *depth))
    lower = _blended(pixels[rows.after], columns, (1, -1, *depth))
    values = upper + (lower - upper) * rows.share.reshape(-1, 1, *depth)
    return Image.fromarray(np.floor(values + np.float32(0.5)).astype(np.uint8))


@dataclass(frozen=True, slots=True, eq=False)
class _Neighbours:
    """The two source positions of each output position, and the share of the second one, float32 in 0..1."""

    before: NDArray[np.int64]
    after: NDArray[np.int64]
    share: NDArray[np.float32]


def _neighbours(source: int, target: int, outputs: NDArray[np.int64]) -> _Neighbours:
    places = (outputs + 0.5) * (source / target) - 0.5
    lower = np.floor(places).astype(np.int64)
    before, after = np.maximum(lower, 0), np.minimum(lower + 1, source - 1)
    return _Neighbours(before, after, (places - lower).astype(np.float32))


def _blended(rows: NDArray[np.uint8], columns: _Neighbours, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the values of rows between their columns; ``shape`` spreads the shares over rows and channels."""
    before = np.take(rows, columns.before, axis=1).astype(np.float32)
    after = np.take(rows, columns.after, axis=1).astype(np.float32)
    return before + (after - before) * columns.share.reshape(shape)


def _rounded(numerator: int, denominator: int) -> int:
    """Round a quotient of positive integers half up."""
    return (2 * numerator + denominator) // (2 * denominator)
