"""Every colour mode that Pillow opens, turned into plain grey or RGB. No colour management: profiles are ignored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

_STRIP_PIXELS = 2**22
"""Converted at once: 16-bit grey needs 20 bytes a pixel on its way, gigabytes for the whole of a large image."""


def grey_or_rgb(image: Image.Image) -> Image.Image:
    """Return a loaded image in mode ``L`` or ``RGB`` (the same object where it already is one).

    Transparency, of every kind, lies on white. 16-bit grey is divided by 257 (65,535 becomes 255) and not clipped at
    255. Integers beyond 16 bits are clipped to 0..65,535 first. Floating point grey is taken as 0..1 if no value is
    above 1, else as 0..255; what is not finite becomes black. LAB is converted to sRGB, CMYK and YCbCr as Pillow does.
    """
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    rows = max(1, _STRIP_PIXELS // image.width)
    factor = _float_factor(image, rows) if image.mode == "F" else 1.0
    return _converted(image, factor) if image.height <= rows else _in_strips(image, rows, factor)


def _in_strips(image: Image.Image, rows: int, factor: float) -> Image.Image:
    """Return what ``_converted`` does, from strips of so many rows."""
    from PIL import Image

    whole: Image.Image | None = None
    for top, strip in _strips(image, rows):
        part = _converted(strip, factor)
        whole = whole or Image.new(part.mode, image.size)
        whole.paste(part, (0, top))
    assert whole is not None
    return whole


def _strips(image: Image.Image, rows: int) -> Iterator[tuple[int, Image.Image]]:
    """Give the strips of an image with the row each starts at."""
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _float_factor(image: Image.Image, rows: int) -> float:
    """Return by what floating point grey is multiplied, which depends on all of its values."""
    brightest = max(float(_finite(np.asarray(strip)).max()) for _, strip in _strips(image, rows))
    return 255.0 if brightest <= 1 else 1.0


def _converted(image: Image.Image, factor: float) -> Image.Image:
    """Return an image that is neither plain grey nor plain RGB as one of the two."""
    if image.mode[0] in "IF":
        return _from_numbers(np.asarray(image), factor)
    if image.has_transparency_data:
        return _on_white(image)
    if image.mode == "1":
        return image.convert("L")
    return _from_lab(image) if image.mode == "LAB" else image.convert("RGB")


def _from_numbers(values: NDArray[Any], factor: float) -> Image.Image:
    """Return 8-bit grey from a 16-bit, 32-bit or floating point plane of shape (height, width).

    ``factor``: of floating point only.
    """
    from PIL import Image

    if values.dtype.kind == "f":
        grey = np.clip(_finite(values) * factor, 0, 255)
        return Image.fromarray(np.floor(grey + 0.5).astype(np.uint8))
    wide = np.clip(values.astype(np.int64), 0, 65_535)
    return Image.fromarray(((wide + 128) // 257).astype(np.uint8))


def _finite(values: NDArray[Any]) -> NDArray[Any]:
    finite: NDArray[Any] = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    return finite


def _on_white(image: Image.Image) -> Image.Image:
    from PIL import Image

    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _from_lab(image: Image.Image) -> Image.Image:
    from PIL import Image, ImageCms

    source, target = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    transform = ImageCms.buildTransform(source, target, "LAB", "RGB")
    return cast(Image.Image, ImageCms.applyTransform(image, transform))
