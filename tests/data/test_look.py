"""Brightness, contrast, sharpness and hash against NumPy, SciPy and simple pictures."""

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy import fft, ndimage

from headstart.data.look import HASH_BITS, look_at, look_at_small


def noise(seed: int, size: tuple[int, int] = (120, 90), mode: str = "L") -> Image.Image:
    depth = (3,) if mode == "RGB" else ()
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], *depth), np.uint8))


def soft(seed: int, size: tuple[int, int] = (400, 300)) -> Image.Image:
    return noise(seed, (12, 9), "RGB").resize(size, Image.Resampling.BICUBIC)


def distance(first: Image.Image, second: Image.Image) -> int:
    return (int(look_at(first).hash, 16) ^ int(look_at(second).hash, 16)).bit_count()


def test_numbers_of_a_picture_that_is_not_shrunk():
    image = noise(0)
    grey = np.asarray(image, float)
    look = look_at(image)
    assert look.brightness == pytest.approx(grey.mean(), abs=0.005)
    assert look.contrast == pytest.approx(grey.std(), abs=0.005)
    laplacian = ndimage.laplace(grey)[1:-1, 1:-1]
    assert look.sharpness == pytest.approx(laplacian.var(), rel=1e-4)


def test_the_hash_holds_the_signs_of_the_lowest_frequencies():
    image = noise(1)
    small = np.asarray(image.resize((32, 32), Image.Resampling.BOX), float)
    frequencies = fft.dctn(small, type=2)
    order = sorted((a + b, a, b) for a in range(32) for b in range(32))[1 : HASH_BITS + 1]
    bits = "".join("1" if frequencies[a, b] > 0 else "0" for _, a, b in order)
    assert look_at(image).hash == f"{int(bits, 2):016x}"


def test_colour_counts_as_luminance():
    assert look_at(Image.new("RGB", (80, 80), (0, 255, 0))).brightness == pytest.approx(150, abs=1)


@pytest.mark.parametrize("factor", [0.3, 0.5, 0.77])
def test_copies_in_another_size_have_nearly_the_same_hash(factor):
    image = soft(2)
    copy = image.resize((round(400 * factor), round(300 * factor)), Image.Resampling.LANCZOS)
    assert distance(image, copy) <= 4


def test_other_pictures_differ_in_about_half_of_the_bits():
    distances = [distance(soft(seed), soft(1000 + seed)) for seed in range(40)]
    assert 28 < np.mean(distances) < 36 and min(distances) > 12


def test_blur_lowers_sharpness_and_little_else():
    sharp = noise(3, (300, 300)).resize((600, 600))
    blurred = sharp.filter(ImageFilter.GaussianBlur(12))
    assert look_at(blurred).sharpness < look_at(sharp).sharpness / 20
    assert look_at(blurred).brightness == pytest.approx(look_at(sharp).brightness, abs=2)


def test_small_and_blank_pictures_have_no_hash():
    assert look_at(noise(4, (63, 500))).hash == look_at(noise(4, (500, 63))).hash == ""
    assert look_at(noise(4, (63, 500))).sharpness == 0.0
    assert look_at(Image.new("RGB", (200, 200), "navy")).hash == ""
    assert len(look_at(noise(4, (64, 64))).hash) == 16


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_the_quick_way_for_small_arrays_says_the_same(mode):
    image = noise(6, (28, 30), mode)
    small, usual = look_at_small(np.asarray(image)), look_at(image)
    assert small.brightness == pytest.approx(usual.brightness, abs=0.1)
    assert small.contrast == pytest.approx(usual.contrast, abs=0.1)
    assert (small.sharpness, small.hash) == (usual.sharpness, usual.hash) == (0.0, "")


def test_a_strip_that_shrinks_to_two_pixels_has_no_sharpness():
    look = look_at(noise(5, (6400, 64)).filter(ImageFilter.BoxBlur(1)))
    assert look.sharpness == 0.0 and look.brightness > 0
