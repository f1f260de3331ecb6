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
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

RESIZE_VERSION = 1
"""Raised whenever the same image and size would give other pixels: caches of what was computed from them end there."""

_WINDOW_ONLY_ABOVE = 2**25
"""Scaled pixels above which ``crop`` computes the window alone: a strip 10 pixels high would else fill the memory."""


@dataclass(frozen=True, slots=True)
class Resize:
    """A target size in pixels and the rule that reaches it: ``stretch``, ``crop`` or ``pad``."""

    height: int
    width: int
    rule: str = "stretch"

    def __post_init__(self) -> None:
        if self.rule not in ("stretch", "crop", "pad") or min(self.height, self.width) < 1:
            raise ValueError(f"Resize should have sides of at least 1 and stretch, crop or pad. Received: {self}")


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
    positions (within one grey level of the full way).
    """
    from PIL import Image

    plan = geometry(image.height, image.width, size)
    if size.rule == "crop" and plan.height * plan.width > _WINDOW_ONLY_ABOVE:
        return _window(image, plan, size)
    scaled = image.resize((plan.width, plan.height), Image.Resampling.BILINEAR)
    if scaled.size == (size.width, size.height):
        return scaled
    if size.rule == "crop":
        return scaled.crop((plan.left, plan.top, plan.left + size.width, plan.top + size.height))
    canvas = Image.new(image.mode, (size.width, size.height))
    canvas.paste(scaled, (plan.left, plan.top))
    return canvas


def _window(image: Image.Image, plan: Geometry, size: Resize) -> Image.Image:
    from PIL import Image

    across, down = image.width / plan.width, image.height / plan.height
    left, top = plan.left * across, plan.top * down
    right = min(image.width, left + size.width * across)
    bottom = min(image.height, top + size.height * down)
    return image.resize((size.width, size.height), Image.Resampling.BILINEAR, box=(left, top, right, bottom))


def _rounded(numerator: int, denominator: int) -> int:
    """Round a quotient of positive integers half up."""
    return (2 * numerator + denominator) // (2 * denominator)
