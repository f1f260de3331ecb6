from fractions import Fraction
from math import floor

import numpy as np
import pytest
from PIL import Image

from headstart.data import decode
from headstart.data.decode import Geometry, Resize, geometry


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def round_half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


def test_geometry_agrees_with_fractions():
    generator = np.random.default_rng(1)
    for height, width, target_height, target_width in generator.integers(1, 400, (500, 4)).tolist():
        down, across = Fraction(target_height, height), Fraction(target_width, width)
        crop = geometry(height, width, Resize(target_height, target_width, "crop"))
        scale = max(down, across)
        assert crop.height == max(target_height, round_half_up(height * scale))
        assert crop.width == max(target_width, round_half_up(width * scale))
        assert (crop.top, crop.left) == ((crop.height - target_height) // 2, (crop.width - target_width) // 2)
        pad = geometry(height, width, Resize(target_height, target_width, "pad"))
        scale = min(down, across)
        assert pad.height == min(target_height, max(1, round_half_up(height * scale)))
        assert pad.width == min(target_width, max(1, round_half_up(width * scale)))
        assert (pad.top, pad.left) == ((target_height - pad.height) // 2, (target_width - pad.width) // 2)


def test_geometry_of_a_square_target_by_hand():
    assert geometry(300, 450, Resize(224, 224)) == Geometry(224, 224, 0, 0)
    assert geometry(300, 451, Resize(224, 224, "crop")) == Geometry(224, 337, 0, 56)  # 451 * 224 / 300 = 336.7
    assert geometry(300, 451, Resize(224, 224, "pad")) == Geometry(149, 224, 37, 0)  # 300 * 224 / 451 = 149.0
    assert geometry(5, 2, Resize(5, 1, "crop")) == Geometry(5, 2, 0, 0)
    assert geometry(2, 3, Resize(1, 1, "crop")) == Geometry(1, 2, 0, 0)  # 1.5 rounds up


def test_stretch_is_pillows_bilinear():
    array = noise(37, 53)
    expected = np.asarray(Image.fromarray(array).resize((20, 24), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(decode.load(array, Resize(24, 20)), expected)


def test_crop_is_the_centre_of_the_scaled_image():
    array = noise(40, 64)
    scaled = np.asarray(Image.fromarray(array).resize((32, 20), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(decode.load(array, Resize(20, 20, "crop")), scaled[:, 6:26])


def test_pad_is_the_scaled_image_on_black():
    array = noise(64, 40)
    expected = np.zeros((20, 20, 3), np.uint8)
    expected[:, 3:16] = np.asarray(Image.fromarray(array).resize((13, 20), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(decode.load(array, Resize(20, 20, "pad")), expected)


def test_grey_is_resized_as_three_equal_channels():
    grey = noise(30, 20)[:, :, 0]
    colour = np.repeat(grey[:, :, None], 3, axis=2)
    for rule in ("stretch", "crop", "pad"):
        size = Resize(16, 16, rule)
        np.testing.assert_array_equal(decode.load(grey, size), decode.load(colour, size))


def test_crop_of_an_extreme_strip_takes_little_memory_and_agrees(monkeypatch):
    strip = noise(4, 400)
    full = decode.load(strip, Resize(16, 16, "crop")).astype(int)
    monkeypatch.setattr("headstart.data.resize._WINDOW_ONLY_ABOVE", 10)
    window = decode.load(strip, Resize(16, 16, "crop"))
    assert np.abs(window - full).max() <= 1
    monkeypatch.undo()
    assert decode.load(noise(2, 60_000), Resize(224, 224, "crop")).shape == (224, 224, 3)


@pytest.mark.parametrize(("height", "rule"), [(0, "stretch"), (8, "squash")])
def test_impossible_sizes_are_refused(height, rule):
    with pytest.raises(ValueError, match="stretch, crop or pad"):
        Resize(height, 8, rule)
