"""A battery over every row of the catalogue, at its smallest size, with random weights."""

import gc
import hashlib
import random
import subprocess
import sys

import numpy as np
import pytest

from headstart.backbones.architectures import build, outline, without_values
from headstart.backbones.catalog import CATALOG
from headstart.backbones.engine import keras_module
from headstart.errors import UsageError

ROWS = list(CATALOG.values())
DEEP = {
    *("nasnet_large", "efficientnet_v2_l", "efficientnet_v2_m", "inception_resnet_v2", "efficientnet_b7"),
    *("resnet152", "resnet152_v2", "densenet201", "efficientnet_b6", "efficientnet_b5", "convnext_xlarge"),
}
# One network of every family, those that run in about a second.
SMALL = (
    *("small_cnn", "flower_cnn", "alexnet", "vgg16_highway", "mobilenet", "mobilenet_v2", "mobilenet_v3_small"),
    *("resnet50_v2", "vgg16", "xception", "inception_v3", "densenet121", "efficientnet_b0", "efficientnet_v2_b0"),
    *("convnext_tiny",),
)


def marked(row):
    return pytest.param(row, id=row.name, marks=[pytest.mark.slow] if row.name in DEEP else [])


def digest(model):
    return hashlib.sha256(b"".join(array.tobytes() for array in model.get_weights())).hexdigest()


@pytest.fixture(scope="module", params=[CATALOG[name] for name in SMALL], ids=SMALL)
def built(request):
    yield request.param, build(request.param, image_size=request.param.minimum_size, seed=1)
    gc.collect()


class Asked:
    """What Keras asks for when it is told to load its official weights: nothing is downloaded and nothing loaded."""

    def __init__(self, monkeypatch):
        from keras.src.models.functional import Functional
        from keras.src.utils import file_utils

        self.files = []
        monkeypatch.setattr(file_utils, "get_file", self.get_file)
        monkeypatch.setattr(Functional, "load_weights", lambda model, path: None)

    def get_file(self, name, origin, **settings):
        self.files.append((name, settings.get("file_hash") or ""))


@pytest.mark.parametrize("row", [marked(row) for row in ROWS if row.downloadable])
def test_a_row_is_the_network_to_which_keras_gives_its_official_weights(row, monkeypatch):
    """Layers, parameters, file name and checksum are those of Keras' network at its default size."""
    keras, asked = keras_module(), Asked(monkeypatch)
    shape = (row.default_size, row.default_size, 3)
    with without_values():
        official = getattr(keras.applications, row.builder)(include_top=False, weights="imagenet", input_shape=shape)
    assert asked.files == [(row.cached_as, row.cached_md5)]
    assert (official.count_params(), len(official.layers)) == (row.parameters, row.layers)
    ours = outline(row, image_size=row.minimum_size)
    assert (ours.count_params(), len(ours.layers)) == (row.parameters, row.layers)
    assert [type(layer) for layer in ours.layers] == [type(layer) for layer in official.layers]
    assert [weight.shape for weight in ours.weights] == [weight.shape for weight in official.weights]
    assert ours.output_shape[-1] == row.channels and min(ours.output_shape[1:3]) >= 1
    gc.collect()


@pytest.mark.parametrize("row", [row for row in ROWS if not row.downloadable], ids=lambda row: row.name)
def test_a_row_counts_what_the_networks_written_here_have(row):
    smallest, usual = (outline(row, image_size=size) for size in (row.minimum_size, row.default_size))
    assert smallest.count_params() == usual.count_params() == row.parameters
    assert smallest.output_shape[-1] == usual.output_shape[-1] == row.channels
    # the small CNN has fewer poolings at fewer pixels
    assert len(usual.layers) == row.layers


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.minimum_size > 32 and row.downloadable], ids=lambda r: r.name
)
def test_keras_itself_refuses_smaller_images(row):
    network, side = getattr(keras_module().applications, row.builder), row.minimum_size - 1
    with pytest.raises(ValueError, match="at least"):
        network(include_top=False, weights=None, input_shape=(side, side, 3))


def test_output_is_finite_and_alive(built):
    row, model = built
    pixels = np.random.default_rng(0).integers(0, 256, (2, row.minimum_size, row.minimum_size, 3), np.uint8)
    features = np.asarray(model(row.preprocessing.apply(pixels), training=False))
    assert features.shape == (2, *model.output_shape[1:]) and features.shape[-1] == row.channels
    assert features.dtype == np.float32 and np.isfinite(features).all()
    assert features.std() > 0 and not np.array_equal(features[0], features[1])


def test_random_weights_are_a_function_of_the_seed(built):
    row, model = built
    state = random.getstate()
    assert digest(build(row, image_size=row.minimum_size, seed=1)) == digest(model)
    assert random.getstate() == state


@pytest.mark.parametrize("name", ["small_cnn", "flower_cnn", "mobilenet", "efficientnet_b0", "mobilenet_v3_small"])
def test_random_weights_depend_on_the_seed_and_not_on_the_image_size(name):
    row = CATALOG[name]
    first = digest(build(row, image_size=row.minimum_size, seed=1))
    assert digest(build(row, image_size=row.minimum_size, seed=2)) != first
    assert digest(build(row, image_size=row.minimum_size + 16, seed=1)) == first


def test_without_a_seed_random_weights_differ():
    row = CATALOG["small_cnn"]
    assert digest(build(row, image_size=8)) != digest(build(row, image_size=8))


def test_another_process_draws_the_same_bits_and_gives_the_same_names():
    code = (
        "import hashlib; from headstart.backbones import architectures, catalog; "
        "model = architectures.build(catalog.find('mobilenet_v3_small'), image_size=32, seed=7); "
        "print(hashlib.sha256(b''.join(a.tobytes() for a in model.get_weights())).hexdigest(), "
        "*(layer.name for layer in model.layers))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    model = build(CATALOG["mobilenet_v3_small"], image_size=32, seed=7)
    assert done.stdout.split() == [digest(model), *(layer.name for layer in model.layers)]


def test_layers_added_later_get_other_names():
    layers, row = keras_module().layers, CATALOG["efficientnet_b0"]
    first, again = (outline(row, image_size=32) for _ in range(2))
    names = [layer.name for layer in first.layers]
    assert names == [layer.name for layer in again.layers]
    assert names[:4] == ["input_layer", "rescaling", "normalization", "rescaling_1"]
    assert not {layers.Rescaling(1.0).name, layers.Normalization().name} & set(names)


def test_an_outline_takes_no_memory():
    model = outline(CATALOG["convnext_tiny"], image_size=32)
    assert model.count_params() == 27_820_128
    assert all(weight._value is None for weight in model.weights)
    # the end of another scope of Keras does not give them values either
    with keras_module().StatelessScope():
        pass
    assert all(weight._value is None for weight in model.weights)


def test_efficientnet_computes_what_keras_computes_with_its_official_weights(monkeypatch, tmp_path):
    """Keras leaves one scaling out where it is not asked to load the official weights; here it is always there."""
    keras, row = keras_module(), CATALOG["efficientnet_b0"]
    Asked(monkeypatch)
    official = keras.applications.EfficientNetB0(include_top=False, weights="imagenet", input_shape=(48, 48, 3))
    monkeypatch.undo()
    ours = build(row, image_size=48, seed=0)
    for model in (official, ours):
        normalization = next(layer for layer in model.layers if isinstance(layer, keras.layers.Normalization))
        normalization.set_weights([np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]), np.array(0)])
        normalization.finalize_state()
    ours.save_weights(str(tmp_path / "x.weights.h5"))
    official.load_weights(str(tmp_path / "x.weights.h5"))
    images = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3)).astype(np.float32)
    expected = np.asarray(official(images, training=False))
    assert expected.std() > 0
    np.testing.assert_allclose(np.asarray(ours(images, training=False)), expected, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["small_cnn", "flower_cnn", "vgg16", "mobilenet_v3_small", "densenet121"])
def test_one_channel(name):
    row = CATALOG[name]
    model = outline(row, image_size=row.minimum_size, channels=1)
    kernel = next(layer for layer in outline(row, image_size=row.minimum_size).layers if layer.weights).weights[0]
    assert model.input_shape == (None, row.minimum_size, row.minimum_size, 1)
    assert row.parameters - model.count_params() == 2 * np.prod(kernel.shape) / 3


def test_too_small_an_image_is_refused():
    with pytest.raises(UsageError, match=r"mobilenet needs images of at least 32 pixels\. Received: 31"):
        build(CATALOG["mobilenet"], image_size=31)


@pytest.mark.parametrize(("name", "channels"), [("mobilenet", 4), ("efficientnet_b0", 1), ("convnext_tiny", 1)])
def test_channels_that_a_network_cannot_take_are_refused(name, channels):
    with pytest.raises(UsageError, match=rf"^{name} "):
        build(CATALOG[name], image_size=32, channels=channels)
