import itertools
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

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
    filters = (("bilinear", True), ("bilinear", False), ("bicubic", True), ("nearest", True))
    for rule, filter_ in itertools.product(("stretch", "crop", "pad"), filters):
        size = Resize(16, 16, rule, *filter_)
        np.testing.assert_array_equal(decode.load(grey, size), decode.load(colour, size))


def test_crop_of_an_extreme_strip_takes_little_memory_and_agrees(monkeypatch):
    strip = noise(4, 400)
    full = decode.load(strip, Resize(16, 16, "crop")).astype(int)
    monkeypatch.setattr("headstart.data.resize._WINDOW_ONLY_ABOVE", 10)
    window = decode.load(strip, Resize(16, 16, "crop"))
    assert np.abs(window - full).max() <= 1
    monkeypatch.undo()
    assert decode.load(noise(2, 60_000), Resize(224, 224, "crop")).shape == (224, 224, 3)


@pytest.mark.parametrize(
    ("interpolation", "filter_"), [("bicubic", Image.Resampling.BICUBIC), ("nearest", Image.Resampling.NEAREST)]
)
def test_other_filters_are_pillows(interpolation, filter_, monkeypatch):
    array = noise(40, 64)
    expected = np.asarray(Image.fromarray(array).resize((32, 20), filter_))
    np.testing.assert_array_equal(decode.load(array, Resize(20, 32, "stretch", interpolation)), expected)
    crop = Resize(20, 20, "crop", interpolation)
    np.testing.assert_array_equal(decode.load(array, crop), expected[:, 6:26])
    pad = decode.load(array, Resize(32, 32, "pad", interpolation))
    np.testing.assert_array_equal(pad[6:26], expected)
    assert not pad[:6].any() and not pad[26:].any()
    monkeypatch.setattr("headstart.data.resize._WINDOW_ONLY_ABOVE", 10)
    window = decode.load(array, crop).astype(int)
    assert np.abs(window - expected[:, 6:26]).max() <= 1


def between_neighbours(array, height, width):
    """Bilinear at half-pixel centres, edges repeated, by SciPy, not rounded."""
    rows = (np.arange(height) + 0.5) * array.shape[0] / height - 0.5
    columns = (np.arange(width) + 0.5) * array.shape[1] / width - 0.5
    places = np.meshgrid(rows, columns, indexing="ij")
    values = [
        ndimage.map_coordinates(array[:, :, channel].astype(float), places, order=1, mode="nearest")
        for channel in range(3)
    ]
    return np.stack(values, axis=-1)


@pytest.mark.parametrize(("height", "width"), [(24, 20), (37, 53), (80, 31), (1, 1), (111, 106)])
def test_bilinear_without_antialias_agrees_with_scipy(height, width):
    array = noise(37, 53)
    got = decode.load(array, Resize(height, width, antialias=False))
    assert (got.shape, got.dtype) == ((height, width, 3), np.uint8)
    assert np.abs(got - between_neighbours(array, height, width)).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("side", [(1, 1), (1, 9), (9, 1)])
def test_bilinear_without_antialias_of_the_thinnest_images(side):
    array = noise(*side)
    got = decode.load(array, Resize(5, 4, antialias=False))
    assert np.abs(got - between_neighbours(array, 5, 4)).max() <= 0.5 + 1e-3


def test_bilinear_without_antialias_is_that_of_tensorflow():
    import tensorflow as tf

    array = noise(61, 47)
    for height, width in ((24, 20), (61, 90), (100, 47)):
        expected = tf.image.resize(array, (height, width), method="bilinear", antialias=False).numpy()
        got = decode.load(array, Resize(height, width, antialias=False))
        assert np.abs(got - expected).max() <= 0.5 + 1e-3


def test_crop_and_pad_without_antialias():
    array = noise(40, 64)
    scaled = decode.load(array, Resize(20, 32, antialias=False))
    crop = decode.load(array, Resize(20, 20, "crop", antialias=False))
    np.testing.assert_array_equal(crop, scaled[:, 6:26])
    pad = decode.load(array, Resize(32, 32, "pad", antialias=False))
    np.testing.assert_array_equal(pad[6:26], scaled)
    assert not pad[:6].any() and not pad[26:].any()


def test_the_default_filter_is_antialiased_and_the_other_is_not():
    stripes = np.zeros((8, 8), np.uint8)
    stripes[:, ::4] = 255
    sharp = decode.load(stripes, Resize(2, 2, antialias=False))
    smooth = decode.load(stripes, Resize(2, 2))
    assert (sharp == 0).all()  # the four nearest pixels lie between the stripes
    assert (smooth > 30).all()


def test_labels_of_filters():
    assert [size.label for size in (
        Resize(8, 8), Resize(8, 8, "stretch", "bicubic"), Resize(8, 8, "pad", "nearest"),
        Resize(8, 8, "crop", antialias=False),
    )] == ["stretch", "stretch bicubic", "pad nearest", "crop bilinear without antialias"]  # fmt: skip


@pytest.mark.parametrize(("interpolation", "antialias"), [("lanczos", True), ("bicubic", False), ("nearest", False)])
def test_impossible_filters_are_refused(interpolation, antialias):
    with pytest.raises(ValueError, match="bilinear, bicubic or nearest"):
        Resize(8, 8, "stretch", interpolation, antialias)


@pytest.mark.parametrize(("height", "rule"), [(0, "stretch"), (8, "squash")])
def test_impossible_sizes_are_refused(height, rule):
    with pytest.raises(ValueError, match="stretch, crop or pad"):
        Resize(height, 8, rule)


@pytest.mark.parametrize(
    ("height", "width", "longest", "expected"),
    [(300, 400, 200, (150, 200)), (8, 6, 64, (64, 48)), (1, 10_000, 100, (1, 100)), (0, 0, 900, (1, 1))],
)
def test_a_whole_image_keeps_its_ratio_and_at_least_a_pixel(height, width, longest, expected):
    found = Resize.whole(height, width, longest=longest)
    assert (found.height, found.width, found.rule) == (*expected, "stretch")
