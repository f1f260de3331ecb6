"""Encoded bytes -> pixels: the only module that opens an image. Needs NumPy and Pillow alone.

Every failure becomes an ``ImageError`` with a short reason. Pillow is imported at the first image.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import logging
import re
import warnings
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headstart.data.colours import grey_or_rgb
from headstart.data.look import SMALLEST_SIDE, Look, look_at, look_at_small
from headstart.data.resize import RESIZE_VERSION, Geometry, Resize, geometry, resized
from headstart.errors import ImageError

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "HEAD_BYTES", "OUT_OF_MEMORY", "PIXEL_LIMIT", "RESIZE_VERSION", "Encoded", "Geometry", "ImageFacts", "Resize",
    "decoders", "geometry", "identify", "inspect", "jpeg", "jpeg_address", "load", "load_and_show", "pixels",
]  # fmt: skip

Encoded = bytes | NDArray[np.uint8]
"""An image file's bytes, or already decoded uint8 pixels of shape (height, width) or (height, width, 3)."""

PIXEL_LIMIT = 178_000_000
"""Largest number of pixels that is decoded; read from the header, before any memory is taken. Pillow's own hard limit,
178,956,970, stays in force above it."""

OUT_OF_MEMORY = "too large for the memory of this machine"
"""The one reason that may be gone at the next try."""

HEAD_BYTES = 512
"""How many leading bytes ``identify`` looks at."""

_MAGIC = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "GIF": rb"GIF8[79]a",
    "WEBP": rb"RIFF.{4}WEBP",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "BMP": rb"BM",
    "PPM": rb"P[1-6][\s#]",
    "AVIF": rb".{4}ftyp(?:avi[fs]|(?:mif1|msf1).{0,40}?avi[fs])",
    "HEIF": rb".{4}ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)",
}
_FORMATS = {name: re.compile(magic, re.DOTALL) for name, magic in _MAGIC.items()}

_TRANSPOSE = {
    2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE",
    6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90",
}  # fmt: skip
"""EXIF orientation -> the Pillow transposition that brings the image upright."""

_ORIENTATION, _MAKE, _MODEL, _EXIF, _TAKEN, _SUBSECOND = 0x0112, 0x010F, 0x0110, 0x8769, 0x9003, 0x9291
_PILLOW_WARNINGS = ("ignore", None, Warning, re.compile(r"PIL\."), 0)

logging.getLogger("PIL").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What a full decode says about an image.

    ``width`` and ``height`` are pixels after EXIF orientation. ``pixel_sha256`` is the hex SHA-256 over the shape and
    the RGB bytes. ``mode`` is the colour mode of the file: RGB, L (grey), CMYK, ... ``rotated``: EXIF orientation
    turned or mirrored it. ``taken_at`` is the camera's local time in ISO form with its fraction of a second, ``camera``
    its make and model; both are empty where unknown.
    """

    width: int
    height: int
    format: str
    mode: str
    rotated: bool
    pixel_sha256: str
    look: Look
    taken_at: str = ""
    camera: str = ""


def load(encoded: Encoded, size: Resize, *, pixel_limit: int = PIXEL_LIMIT) -> NDArray[np.uint8]:
    """Return RGB pixels of shape (size.height, size.width, 3), uint8, maybe read-only.

    Decoded by content, upright by EXIF orientation, as RGB (see ``colours``), resized by ``resize``. Safe and parallel
    in threads: Pillow works without Python's lock.

    Raises:
        ImageError: the bytes are no readable image of an allowed format.
    """
    try:
        return _rgb(resized(_plain(encoded, pixel_limit), size))
    except Exception as error:
        raise _image_error(error, encoded) from error


def load_and_show(
    encoded: bytes, size: Resize, *, largest: int, pixel_limit: int = PIXEL_LIMIT
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return what ``load`` does, and all of the image with a longer side of at most ``largest`` pixels.

    It is decoded once, and never held as an array of its full size; raises as ``load`` does.
    """
    try:
        image = _plain(encoded, pixel_limit)
        shown = Resize.whole(image.height, image.width, longest=min(largest, max(image.size)))
        return _rgb(resized(image, size)), _rgb(resized(image, shown))
    except Exception as error:
        raise _image_error(error, encoded) from error


def pixels(encoded: Encoded, *, pixel_limit: int = PIXEL_LIMIT) -> NDArray[np.uint8]:
    """Return all RGB pixels, shape (height, width, 3), uint8, without resizing; raises as ``load`` does."""
    try:
        return _rgb(encoded if isinstance(encoded, np.ndarray) else _plain(encoded, pixel_limit))
    except Exception as error:
        raise _image_error(error, encoded) from error


def jpeg(image: NDArray[np.uint8], *, quality: int = 80) -> bytes:
    """Return pixels ``(height, width, 3)`` as the bytes of a JPEG file."""
    from PIL import Image

    stream = BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def jpeg_address(content: bytes) -> str:
    """Return the bytes of a JPEG file as a data address, for a page that holds its pictures."""
    return "data:image/jpeg;base64," + base64.b64encode(content).decode()


def inspect(encoded: Encoded, *, pixel_limit: int = PIXEL_LIMIT) -> ImageFacts:
    """Decode an image to its last byte and return its facts; raises as ``load`` does."""
    try:
        if isinstance(encoded, np.ndarray):
            return _array_facts(encoded)
        image = _header(encoded, pixel_limit)
        # Pillow turns a TIFF upright while it loads, and forgets that it did
        noted = _turn(image)
        image.load()
        turn = _turn(image)
        plain = grey_or_rgb(image if turn is None else image.transpose(turn))
        return ImageFacts(
            plain.width,
            plain.height,
            identify(encoded[:HEAD_BYTES]),
            image.mode,
            noted is not None or turn is not None,
            _pixel_sha256(plain),
            look_at(plain),
            *_shot(image),
        )
    except Exception as error:
        raise _image_error(error, encoded) from error


def identify(head: bytes) -> str:
    """Return the format that an image's first ``HEAD_BYTES`` bytes show: JPEG, PNG, GIF, ...

    Raises:
        ImageError: it is none of the allowed formats; the reason names what it is where that is plain.
    """
    for name, magic in _FORMATS.items():
        if magic.match(head):
            return name
    raise ImageError(_what_else(head))


def decoders() -> str:
    """Return which decoders read the images: facts about pixels hold only for the same ones."""
    try:
        heif = importlib.metadata.version("pillow-heif")
    except importlib.metadata.PackageNotFoundError:
        heif = "none"
    return f"pillow-{importlib.metadata.version('pillow')}-heif-{heif}"


def _plain(encoded: Encoded, pixel_limit: int) -> Image.Image:
    """Return a decoded, upright image in mode L or RGB."""
    from PIL import Image

    if isinstance(encoded, np.ndarray):
        return Image.fromarray(_checked(encoded))
    return grey_or_rgb(_upright(_open(encoded, pixel_limit)))


def _open(encoded: bytes, pixel_limit: int) -> Image.Image:
    """Return the first frame, decoded to its end, in the file's own mode and orientation."""
    image = _header(encoded, pixel_limit)
    image.load()
    return image


def _header(encoded: bytes, pixel_limit: int) -> Image.Image:
    """Return the first frame before its pixels are decoded."""
    from PIL import Image

    name = identify(encoded[:HEAD_BYTES])
    _make_available(name)
    if warnings.filters[:1] != [_PILLOW_WARNINGS]:
        # What Pillow warns of is settled here: large images by the limit, odd metadata by ignoring it. A filter for the
        # process, because warnings.catch_warnings does not work in threads.
        warnings.filterwarnings("ignore", module=r"PIL\.")
    image = Image.open(BytesIO(encoded), formats=(name,))
    if image.width * image.height > pixel_limit:
        raise ImageError(f"too large: {image.width} x {image.height} pixels; the limit is {pixel_limit:,}")
    return image


def _make_available(name: str) -> None:
    """Register the decoder of a format that Pillow does not always bring; raise ImageError if there is none."""
    if name == "HEIF":
        try:
            import pillow_heif
        except ImportError:
            raise ImageError("HEIC needs: pip install 'headstart[heic]'") from None
        pillow_heif.register_heif_opener()
    elif name == "AVIF":
        from PIL import features

        if not features.check("avif"):
            raise ImageError("AVIF needs Pillow 11.3 or newer: pip install --upgrade pillow")


def _upright(image: Image.Image) -> Image.Image:
    turn = _turn(image)
    return image if turn is None else image.transpose(turn)


def _turn(image: Image.Image) -> Image.Transpose | None:
    """Return the transposition that brings an image upright, or None if it is."""
    from PIL import Image

    try:
        name = _TRANSPOSE.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        # damaged EXIF says nothing about orientation; the pixels are sound
        return None
    return Image.Transpose[name] if name else None


def _shot(image: Image.Image) -> tuple[str, str]:
    """Return when (ISO) and with what camera a photograph was taken, empty where the EXIF data does not say."""
    try:
        exif = image.getexif()
        camera = " ".join(str(exif.get(tag, "")).strip("\0 ") for tag in (_MAKE, _MODEL)).strip()
        detail = exif.get_ifd(_EXIF)
        moment = datetime.strptime(str(detail.get(_TAKEN, "")).strip("\0 "), "%Y:%m:%d %H:%M:%S")
        digits = re.match(r"\d*", str(detail.get(_SUBSECOND, "")).strip("\0 "))
        fraction = int((digits.group() if digits else "").ljust(6, "0")[:6])
        return moment.replace(microsecond=fraction).isoformat(), camera
    except Exception:
        return "", ""


def _array_facts(array: NDArray[np.uint8]) -> ImageFacts:
    pixel_sha256 = _pixel_sha256(array)
    height, width = array.shape[:2]
    look = look_at_small(array) if min(height, width) < SMALLEST_SIDE else look_at(_plain(array, PIXEL_LIMIT))
    return ImageFacts(width, height, "array", "L" if array.ndim == 2 else "RGB", False, pixel_sha256, look)


def _pixel_sha256(image: Image.Image | NDArray[np.uint8]) -> str:
    rgb = _rgb(image)
    height, width, _ = rgb.shape
    digest = hashlib.sha256(f"{height}x{width}:".encode())
    digest.update(np.ascontiguousarray(rgb).reshape(-1).data)
    return digest.hexdigest()


def _rgb(image: Image.Image | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the pixels of a grey or RGB image, shape (height, width, 3)."""
    array = _checked(np.asarray(image))
    return array if array.ndim == 3 else np.repeat(array[:, :, np.newaxis], 3, axis=2)


def _checked(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)) or not array.size:
        raise ImageError(f"not an image: pixels of shape {array.shape}, {array.dtype}")
    return array


def _image_error(error: Exception, encoded: Encoded) -> ImageError:
    """Return the error with a short reason for whatever a decoder raised: on bad bytes that can be nearly anything."""
    if isinstance(error, ImageError):
        return error
    if isinstance(error, MemoryError):
        return ImageError(OUT_OF_MEMORY)
    name = "array" if isinstance(encoded, np.ndarray) else identify(encoded[:HEAD_BYTES])
    if type(error).__name__ == "DecompressionBombError":
        return ImageError(f"too large: the limit is {PIXEL_LIMIT:,} pixels")
    if re.search("truncated|unexpected end|not enough|broken data", str(error), re.IGNORECASE):
        return ImageError(f"truncated {name}")
    return ImageError(f"damaged {name}")


def _what_else(head: bytes) -> str:
    """Say what a file that is none of the allowed formats is, as far as its first bytes tell."""
    if not head:
        return "empty file"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the image: fetch it with git lfs pull"
    if re.search(rb"<svg[\s>]", head):
        return "SVG is a drawing, not a photograph: save it as PNG"
    if head.startswith(b"%PDF"):
        return "PDF, not an image"
    if not re.search(rb"[\x00-\x08\x0e-\x1a]", head):
        return "text, not an image"
    return f"not an image of an allowed format ({', '.join(_FORMATS)})"
