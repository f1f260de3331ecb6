"""The catalogue itself: names, sizes, preprocessing."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from headstart.backbones.catalog import CATALOG, Preprocessing, find
from headstart.backbones.engine import keras_module
from headstart.errors import UsageError

ROWS = list(CATALOG.values())

# Keras' own preprocessing of each row's network, and the plain division that small_cnn asks for.
KERAS_MODULES = {"mobilenet": "mobilenet", "mobilenet_v2": "mobilenet_v2", "resnet50": "resnet50"}


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), np.uint8)


@pytest.mark.parametrize(("name", "module"), KERAS_MODULES.items())
def test_preprocessing_is_that_of_keras(name, module, pixels):
    expected = getattr(keras_module().applications, module).preprocess_input(pixels.astype(np.float32))
    received = CATALOG[name].preprocessing.apply(pixels)
    assert received.dtype == np.float32
    np.testing.assert_allclose(received, expected, atol=1e-6 * np.abs(expected).max())


def test_preprocessing_of_the_small_cnn_is_a_division_by_255(pixels):
    np.testing.assert_allclose(CATALOG["small_cnn"].preprocessing.apply(pixels), pixels / 255, atol=1e-6)


def test_preprocessing_leaves_the_pixels_alone(pixels):
    before = pixels.copy()
    Preprocessing("bgr", (2.0, 3.0, 4.0), (1.0, 1.0, 1.0)).apply(pixels)
    np.testing.assert_array_equal(pixels, before)


def test_scale_and_offset_follow_the_channel_order():
    pixel = np.array([[[[10, 20, 30]]]], np.uint8)
    received = Preprocessing("bgr", (1.0, 10.0, 100.0), (0.5, 0.0, 0.0)).apply(pixel)
    np.testing.assert_array_equal(received, np.array([[[[30.5, 200.0, 1000.0]]]], np.float32))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_pretrained_row_says_where_its_weights_come_from(row):
    assert row.pretrained == bool(row.cached_as) == (row.published is not None)
    assert row.licence and row.title
    assert CATALOG[row.name] is row


def test_published_numbers_are_shares():
    for row in ROWS:
        if row.published:
            assert 0 < row.published.top_1 < row.published.top_5 < 1
            # the classifier of ImageNet's 1,000 classes comes on top; the published number is rounded
            with_top = row.parameters + (row.channels + 1) * 1000
            assert row.published.parameters == pytest.approx(with_top, abs=60_000)


@pytest.mark.parametrize("name", ["mobilenet_v2", "MobileNetV2", "mobilenet-v2", "MOBILENET V2"])
def test_spellings(name):
    assert find(name) is CATALOG["mobilenet_v2"]


def test_unknown_backbone_suggests_the_nearest():
    with pytest.raises(UsageError, match=r"no backbone 'mobilnet'\. Did you mean 'mobilenet'\? Available: mobilenet"):
        find("mobilnet")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_size_below_the_smallest_is_refused(row):
    row.check_size(row.minimum_size)
    with pytest.raises(UsageError, match=f"at least {row.minimum_size} pixels. Received: {row.minimum_size - 1}"):
        row.check_size(row.minimum_size - 1)


def test_rows_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ROWS[0].channels = 1


def test_catalogue_and_weights_are_light():
    code = (
        "import sys; from headstart.backbones import catalog, weights; "
        "print({'keras', 'tensorflow', 'h5py', 'sklearn', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
