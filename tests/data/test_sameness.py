"""Copies of one picture against other pictures that look alike."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from headstart.data import decode
from headstart.data.sameness import SMALL, same, small


def is_same(first: Image.Image, second: Image.Image) -> bool:
    kept = []
    for image in (first, second):
        stream = BytesIO()
        image.save(stream, "PNG")
        kept.append(small(decode.load(stream.getvalue(), SMALL), *image.size))
    return bool(same(kept[:1], kept[1:])[0])


def saved(image: Image.Image, quality: int) -> Image.Image:
    stream = BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream)


COPIES = {
    "the same": lambda image: image,
    "half the size": lambda image: image.resize((160, 120)),
    "small and poor": lambda image: saved(image.resize((128, 96), Image.Resampling.BICUBIC), 40),
    "stretched": lambda image: image.resize((224, 224)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "paler": lambda image: ImageEnhance.Color(image).enhance(0.5),
    "less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.6),
    "grey": lambda image: image.convert("L"),
}
OTHERS = {
    "another picture": lambda image, other: other,
    "mirrored": lambda image, other: ImageOps.mirror(image),
    "negative": lambda image, other: ImageOps.invert(image),
    "other colours": lambda image, other: Image.merge("RGB", image.split()[::-1]),
    "the same broad shapes": lambda image, other: Image.blend(broad(image), other, 0.25),
    "shifted": lambda image, other: image.crop((32, 24, 320, 240)),
}
SIZE = (320, 240)
NOISE = 30


def broad(image: Image.Image) -> Image.Image:
    return image.resize((12, 9), Image.Resampling.BOX).resize(SIZE, Image.Resampling.BICUBIC)


@pytest.mark.parametrize("change", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("seed", range(3))
def test_copies_are_the_same_picture(change, seed, photograph):
    image = photograph(seed, SIZE)
    assert is_same(image, change(image))
    assert is_same(change(image), image)


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("seed", range(3))
def test_others_are_not(change, seed, photograph):
    image = photograph(seed, SIZE)
    assert not is_same(image, change(image, photograph(100 + seed, SIZE)))


def test_pictures_without_detail_are_compared_by_their_shapes():
    down, across = np.mgrid[:120, :160]
    slope = Image.fromarray(np.uint8(40 + across))
    assert is_same(slope, saved(slope.resize((80, 60)), 60))
    assert not is_same(slope, Image.fromarray(np.uint8(60 + 0.8 * down + 0.2 * across)))


def test_a_picture_of_another_shape_must_agree_better(photograph):
    """A poor copy counts as one at the same ratio of sides, and no longer when it is stretched as well."""
    image = photograph(5, SIZE)
    noisy = np.asarray(image, float) + np.random.default_rng(0).normal(0, NOISE, (240, 320, 3))
    poor = Image.fromarray(np.uint8(np.clip(noisy, 0, 255)))
    assert is_same(image, poor)
    assert not is_same(image, poor.resize((200, 240), Image.Resampling.BOX))
