"""One row of the catalogue: preprocessing, sizes, channels."""

import dataclasses

import numpy as np
import pytest

from headstart.backbones.backbone import CAFFE, MINUS_ONE_TO_ONE, TORCH, ZERO_TO_ONE, Preprocessing
from headstart.backbones.catalog import CATALOG
from headstart.errors import UsageError

MOBILENET = CATALOG["mobilenet"]


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), np.uint8)


def test_preprocessing_leaves_the_pixels_alone(pixels):
    before = pixels.copy()
    Preprocessing("bgr", (2.0, 3.0, 4.0), (1.0, 1.0, 1.0)).apply(pixels)
    np.testing.assert_array_equal(pixels, before)


def test_scale_and_offset_follow_the_channel_order():
    pixel = np.array([[[[10, 20, 30]]]], np.uint8)
    received = Preprocessing("bgr", (1.0, 10.0, 100.0), (0.5, 0.0, 0.0)).apply(pixel)
    np.testing.assert_array_equal(received, np.array([[[[30.5, 200.0, 1000.0]]]], np.float32))


def test_grey_is_one_channel_of_brightness_with_the_first_scale_and_offset(pixels):
    received = Preprocessing("grey", (2.0,) * 3, (-1.0,) * 3).apply(pixels)
    brightness = 0.299 * pixels[..., 0] + 0.587 * pixels[..., 1] + 0.114 * pixels[..., 2]
    assert received.shape == (2, 5, 4, 1) and received.dtype == np.float32
    np.testing.assert_allclose(received[..., 0], 2 * brightness - 1, atol=1e-3)


def test_grey_of_grey_pixels_is_the_pixel_itself():
    grey = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    received = Preprocessing("grey", (1.0,) * 3, (0.0,) * 3).apply(np.repeat(grey, 3, axis=3))
    np.testing.assert_allclose(received, grey, atol=1e-4)


@pytest.mark.parametrize("preprocessing", [CAFFE, MINUS_ONE_TO_ONE, TORCH, ZERO_TO_ONE])
def test_grey_takes_the_means_over_the_channels(preprocessing):
    grey = preprocessing.in_grey()
    assert (grey.channel_order, grey.channels, preprocessing.channels) == ("grey", 1, 3)
    assert grey.scale == pytest.approx((np.mean(preprocessing.scale),) * 3)
    assert grey.offset == pytest.approx((np.mean(preprocessing.offset),) * 3)


def test_kinds_of_preprocessing(pixels):
    row = CATALOG["resnet50"]
    assert row.input_preprocessing() == row.input_preprocessing("own") == CAFFE
    np.testing.assert_allclose(row.input_preprocessing("unit").apply(pixels), pixels / 255, atol=1e-6)
    np.testing.assert_array_equal(row.input_preprocessing("none").apply(pixels), pixels)
    assert row.input_preprocessing("own", "grey") == CAFFE.in_grey()
    assert row.input_preprocessing("unit", "grey").scale[0] == pytest.approx(1 / 255)


@pytest.mark.parametrize(
    ("kind", "colour", "message"),
    [
        ("units", "rgb", r"preprocessing must be own, unit or none\. Received: 'units'\. Did you mean 'unit'"),
        ("own", "gray", r"colour must be rgb or grey\. Received: 'gray'"),
    ],
)
def test_wrong_words_are_refused(kind, colour, message):
    with pytest.raises(UsageError, match=message):
        MOBILENET.input_preprocessing(kind, colour)


@pytest.mark.parametrize("row", [row for row in CATALOG.values() if row.rgb_only], ids=lambda row: row.name)
def test_networks_that_normalise_colours_themselves_refuse_grey(row):
    assert row.name.startswith(("efficientnet_", "convnext_"))
    with pytest.raises(UsageError, match=rf"{row.name} normalises red, green and blue itself.*colour = \"rgb\""):
        row.input_preprocessing("own", "grey")
    assert row.input_preprocessing("own", "rgb").channel_order == "rgb"


def test_channels_other_than_one_and_three_are_refused():
    MOBILENET.check_channels(1)
    with pytest.raises(UsageError, match=r"mobilenet takes images of 3 channels, or of 1 \(grey\)\. Received: 2"):
        MOBILENET.check_channels(2)


@pytest.mark.parametrize("row", CATALOG.values(), ids=lambda row: row.name)
def test_size_below_the_smallest_is_refused(row):
    row.check_size(row.minimum_size)
    with pytest.raises(UsageError, match=f"at least {row.minimum_size} pixels. Received: {row.minimum_size - 1}"):
        row.check_size(row.minimum_size - 1)


def test_rows_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        MOBILENET.channels = 1
