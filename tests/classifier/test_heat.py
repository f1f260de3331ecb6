"""Heat on photographs: placing, drawing, words and agreement."""

import itertools
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scipy.stats import spearmanr

from headstart.classifier.heat import (
    COLOURS,
    agreement,
    normalised,
    overlay,
    placed,
    png,
    side_by_side,
    smooth,
    where,
)
from headstart.data import decode
from headstart.data.decode import Resize


def test_normalised_maps_reach_from_0_to_1_each_for_itself():
    found = normalised(np.array([[[2.0, -4.0], [1.0, 0.0]], [[-1.0, -2.0], [0.0, -3.0]]]))
    assert found.tolist() == [[[1, 0], [0.5, 0]], [[0, 0], [0, 0]]]
    assert found.dtype == np.float32


def test_smooth_keeps_the_range_and_the_places():
    heat = np.zeros((7, 7), np.float32)
    heat[1, 5] = 1
    found = smooth(heat, 140, 210)
    assert found.shape == (140, 210)
    assert (found.min(), found.max()) == (0, pytest.approx(1, abs=0.02))
    assert np.argwhere(found > 0.9).mean(axis=0) == pytest.approx([1.5 * 20 - 0.5, 5.5 * 30 - 0.5], abs=1)
    np.testing.assert_allclose(smooth(np.full((1, 1), 0.3), 5, 9), 0.3, atol=1e-6)


@pytest.mark.parametrize("rule", ["stretch", "crop", "pad"])
@pytest.mark.parametrize(("height", "width"), [(120, 300), (300, 120), (200, 200), (61, 64), (400, 90)])
def test_heat_comes_back_to_the_place_it_was_made_of(rule, height, width):
    """A white spot on the photograph goes through the resize; the input itself, taken as heat, must end on the spot."""
    size = Resize(64, 48, rule)
    photograph = np.zeros((height, width, 3), np.uint8)
    # inside what crop leaves over
    middle = height * 0.52, width * 0.47
    rows, columns = (
        slice(int(at - side / 12), int(at + side / 12) + 1) for at, side in zip(middle, (height, width), strict=True)
    )
    photograph[rows, columns] = 255
    heat = decode.load(photograph, size)[:, :, 0] / 255
    found = placed(heat, height, width, size)
    assert found.shape == (height, width)
    spot = photograph[:, :, 0] / 255
    centres = [np.array([np.average(np.arange(n), weights=one.sum(axis=1 - axis)) for axis, n in enumerate(one.shape)])
               for one in (found, spot)]  # fmt: skip
    assert centres[0] == pytest.approx(centres[1], abs=0.02 * max(height, width))
    assert found.sum() == pytest.approx(spot.sum(), rel=0.2)


def test_what_was_cut_away_has_no_heat():
    found = placed(np.ones((4, 4)), 50, 200, Resize(64, 64, "crop"))
    assert (found[:, 75:125].min(), found[:, :75].max(), found[:, 125:].max()) == (1, 0, 0)


def test_heat_on_the_padding_is_left_out():
    heat = np.zeros((8, 8))
    heat[:2] = 1
    heat[3, 4] = 0.5
    found = placed(heat, 100, 200, Resize(64, 64, "pad"))
    # rows 0 and 1 of the map lie on the bar above the photograph, which begins with row 2
    assert found.shape == (100, 200)
    assert found[60:].max() < 0.05
    assert 0.4 < found[30:45, 105:120].max() <= 1


def test_colours_grow_lighter_with_heat():
    brightness = COLOURS @ [0.299, 0.587, 0.114]
    assert all(after - before > 15 for before, after in itertools.pairwise(brightness))


def test_the_overlay_is_grey_where_cold_and_coloured_where_hot():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    heat = np.zeros((4, 6))
    heat[0, 5] = 1
    found = overlay(pixels, heat)
    assert (found.shape, found.dtype) == (pixels.shape, np.uint8)
    cold = found[20:, :30].astype(int)
    assert np.ptp(cold, axis=2).max() == 0
    grey = pixels[20:, :30] @ np.array([0.299, 0.587, 0.114])
    assert np.corrcoef(cold[:, :, 0].reshape(-1), grey.reshape(-1))[0, 1] > 0.999
    hottest = found[:5, 55:].astype(float).mean(axis=(0, 1))
    assert hottest == pytest.approx(0.25 * 0.8 * grey.mean() + 0.75 * COLOURS[-1], abs=15)


def test_pictures_stand_side_by_side_and_come_back_from_the_png():
    pictures = [np.full((10, width, 3), width, np.uint8) for width in (20, 30)]
    row = side_by_side(pictures)
    found = np.asarray(Image.open(BytesIO(png(row))))
    np.testing.assert_array_equal(found, row)
    np.testing.assert_array_equal(found[:, :20], pictures[0])
    np.testing.assert_array_equal(found[:, -30:], pictures[1])
    assert (found[:, 20:-30] == 255).all()


REGIONS = [
    ((0, 0), (1, 1), "in the upper left of"),
    ((0, 4), (1, 5), "at the top of"),
    ((4, 0), (5, 1), "at the left of"),
    ((4, 4), (5, 5), "in the middle of"),
    ((7, 8), (9, 9), "in the lower right of"),
    ((1, 1), (5, 5), "in the upper left quarter of"),
    ((5, 0), (9, 5), "in the lower left quarter of"),
    ((0, 0), (3, 9), "in the upper third of"),
    ((3, 0), (6, 9), "in the band across the middle of"),
    ((0, 6), (9, 9), "in the right third of"),
    ((0, 3), (9, 6), "in the band down the middle of"),
]


@pytest.mark.parametrize(("start", "end", "words"), REGIONS)
def test_words_say_where(start, end, words):
    heat = np.zeros((10, 10))[:9, :9]
    heat[start[0] : end[0], start[1] : end[1]] = 1
    assert words in where(heat)


def test_words_give_the_share():
    heat = np.zeros((9, 9))
    heat[0, 0], heat[8, 8] = 3, 1
    assert where(heat) == "Most of the evidence (75%) lies in the upper left of the photograph."


def test_spread_and_empty_maps_are_said():
    assert where(np.ones((9, 9))).startswith("The evidence is spread over the photograph; the largest part (11%)")
    assert "empty" in where(np.zeros((9, 9)))


def test_agreement_is_the_rank_correlation():
    random = np.random.default_rng(0)
    first = np.round(random.normal(size=(7, 9)), 1)
    second = np.maximum(first + random.normal(size=(7, 9)), 0)
    assert agreement(first, second) == pytest.approx(spearmanr(smooth(first, 7, 9).ravel(), second.ravel()).statistic)
    assert agreement(second, second) == pytest.approx(1)
    assert agreement(second, -second) == pytest.approx(-1)


def test_maps_of_unlike_grids_are_compared_on_the_second():
    rows, columns = np.mgrid[0:14, 0:14]
    fine = (rows + 3 * columns) / 60
    coarse = fine.reshape(7, 2, 7, 2).mean(axis=(1, 3))
    assert agreement(coarse, fine) > 0.98
    assert agreement(coarse[::-1, ::-1], fine) < -0.98


def test_a_flat_map_agrees_with_nothing():
    assert agreement(np.zeros((3, 3)), np.arange(9.0).reshape(3, 3)) is None
    assert agreement(np.arange(9.0).reshape(3, 3), np.ones((3, 3))) is None
