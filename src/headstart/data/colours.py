"""Every colour mode that Pillow opens, turned into plain grey or RGB. No colour management: profiles are ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image


def grey_or_rgb(image: Image.Image) -> Image.Image:
    """Return a loaded image in mode ``L`` or ``RGB`` (the same object where it already is one).

    Transparency, of every kind, lies on white. 16-bit grey is divided by 257 (65,535 becomes 255) and not clipped at
    255. Integers beyond 16 bits are clipped to 0..65,535 first. Floating point grey is taken as 0..1 if no value is
    above 1, else as 0..255; what is not finite becomes black. LAB is converted to sRGB, CMYK and YCbCr as Pillow does.
    """
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    if image.mode[0] in "IF":
        return _from_numbers(np.asarray(image))
    if image.has_transparency_data:
        return _on_white(image)
    if image.mode == "1":
        return image.convert("L")
    return _from_lab(image) if image.mode == "LAB" else image.convert("RGB")


def _from_numbers(values: NDArray[Any]) -> Image.Image:
    """Return 8-bit grey from a 16-bit, 32-bit or floating point plane of shape (height, width)."""
    from PIL import Image

    if values.dtype.kind == "f":
        finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        grey = np.clip(finite * 255.0 if finite.max() <= 1 else finite, 0, 255)
        return Image.fromarray(np.floor(grey + 0.5).astype(np.uint8))
    wide = np.clip(values.astype(np.int64), 0, 65_535)
    return Image.fromarray(((wide + 128) // 257).astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    from PIL import Image

    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _from_lab(image: Image.Image) -> Image.Image:
    from PIL import Image, ImageCms

    source, target = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    transform = ImageCms.buildTransform(source, target, "LAB", "RGB")
    return cast(Image.Image, ImageCms.applyTransform(image, transform))
