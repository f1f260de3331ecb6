"""The catalogue itself: names, preprocessing, published numbers."""

import inspect
import subprocess
import sys

import numpy as np
import pytest

from headstart.backbones.catalog import AS_THEY_ARE, CAFFE, CATALOG, TORCH, ZERO_TO_ONE, find
from headstart.backbones.engine import keras_module
from headstart.errors import UsageError

ROWS = list(CATALOG.values())
KERAS_ROWS = [row for row in ROWS if row.downloadable]


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), np.uint8)


def test_every_network_of_keras_has_a_row():
    applications = vars(keras_module().applications)
    assert {row.builder for row in KERAS_ROWS} == {
        name for name, one in applications.items() if inspect.isfunction(one)
    }


@pytest.mark.parametrize("row", KERAS_ROWS, ids=lambda row: row.name)
def test_preprocessing_is_that_of_keras(row, pixels):
    builder = getattr(keras_module().applications, row.builder)
    expected = inspect.getmodule(builder).preprocess_input(pixels.astype(np.float32))
    received = row.preprocessing.apply(pixels)
    assert received.dtype == np.float32
    np.testing.assert_allclose(received, expected, atol=2e-6 * np.abs(expected).max())


def test_preprocessing_of_the_networks_that_keras_lacks():
    own = {row.name: row.preprocessing for row in ROWS if not row.downloadable}
    # the flower report feeds its network pixels without any preprocessing layer
    assert own == {"alexnet": TORCH, "vgg16_highway": CAFFE, "flower_cnn": AS_THEY_ARE, "small_cnn": ZERO_TO_ONE}


def test_torch_preprocessing_is_that_of_torchvision(pixels):
    expected = (pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(TORCH.apply(pixels), expected, atol=1e-6)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_pretrained_row_says_where_its_weights_come_from(row):
    assert row.pretrained == (row.published is not None)
    assert row.downloadable == bool(row.cached_as)
    assert row.pretrained or not row.downloadable
    assert row.licence and row.title and row.name == row.name.lower()
    assert row.minimum_size <= row.default_size


@pytest.mark.parametrize("row", [row for row in ROWS if row.published], ids=lambda row: row.name)
def test_published_numbers_are_shares_and_counts(row):
    published = row.published
    assert 0 < published.top_1 < (published.top_5 or 1) <= 1
    assert published.source and (published.size_mb is None or published.size_mb > 1)
    if row.name.startswith("mobilenet_v3"):
        assert published.parameters > row.parameters
        return
    # the classifier of ImageNet's 1,000 classes comes on top; the published number is rounded or cut off
    classifier = (row.channels + 1) * 1000
    if row.name == "alexnet":
        classifier += (4096 + 1) * 4096
    if row.name in ("vgg16", "vgg19"):
        classifier = (7 * 7 * 512 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 1000
    assert published.parameters == pytest.approx(row.parameters + classifier, abs=100_000)


@pytest.mark.parametrize("name", ["mobilenet_v2", "MobileNetV2", "mobilenet-v2", "MOBILENET V2"])
def test_spellings(name):
    assert find(name) is CATALOG["mobilenet_v2"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_is_found_by_its_name_and_by_its_title_in_keras(row):
    assert find(row.name) is row
    assert not row.downloadable or find(row.builder) is row


def test_unknown_backbone_suggests_the_nearest():
    with pytest.raises(UsageError, match=r"no backbone 'mobilnet'\. Did you mean 'mobilenet'\? All 44 are listed"):
        find("mobilnet")


def test_catalogue_and_weights_are_light():
    code = (
        "import sys; from headstart.backbones import catalog, weights; "
        "print({'keras', 'tensorflow', 'h5py', 'sklearn', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
