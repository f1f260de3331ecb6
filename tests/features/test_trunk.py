"""Trunks against plain Keras ``predict``: OpenVINO and Keras engines, random and real weights."""

import functools
from pathlib import Path

import keras
import numpy as np
import pytest

from headstart.backbones import architectures, catalog, weights
from headstart.backbones.catalog import ZERO_TO_ONE
from headstart.data import decode
from headstart.data.decode import Resize
from headstart.features import cut, trunk

SHARED = Path(__file__).parents[2].parent / "shared"
ENGINES = ["openvino", "keras"]
PRETRAINED = ["mobilenet", "mobilenet_v2", "resnet50"]
real = pytest.mark.skipif(not (SHARED / "weights").is_dir(), reason="the folder shared is not beside the repository")


@functools.cache
def settled(name: str, side: int = 64) -> keras.Model:
    """Return a catalogue network with random weights whose outputs have the size of real ones."""
    backbone = catalog.find(name)
    network = architectures.build(backbone, image_size=side, seed=0)
    architectures.settle_normalization(network, backbone.preprocessing, seed=0)
    return network


def photographs(count: int, side: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)


def keras_features(network: keras.Model, backbone: catalog.Backbone, pixels: np.ndarray) -> np.ndarray:
    """Return pooled features as a user of Keras computes them, with keras.applications' own preprocessing."""
    model = keras.Sequential([network, keras.layers.GlobalAveragePooling2D()])
    module = getattr(keras.applications, backbone.name, keras.applications.resnet)
    return model.predict(module.preprocess_input(pixels.astype(np.float32)), verbose=0)


def assert_close(here: np.ndarray, expected: np.ndarray) -> None:
    """Compare to 1e-4 of the size of the features."""
    np.testing.assert_allclose(here, expected, rtol=1e-4, atol=1e-4 * float(np.abs(expected).mean()))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", PRETRAINED)
def test_random_weights_equal_keras_predict(name, engine):
    backbone, network, pixels = catalog.find(name), settled(name), photographs(5)
    built = trunk.build_trunk(
        network, backbone.preprocessing, Resize(64, 64), engine=trunk.Engine(engine, ""), precision="f32"
    )
    features = built.run(pixels)
    assert features.shape == (5, backbone.channels)
    assert_close(features, keras_features(network, backbone, pixels))


@pytest.mark.parametrize(
    ("name", "side"), [("alexnet", 63), ("flower_cnn", 64), ("vgg16_highway", 32), ("mobilenet_v3_small", 32)]
)
def test_other_kinds_of_networks_equal_keras(name, side):
    backbone, network, pixels = catalog.find(name), settled(name, side), photographs(3, side)
    size, engine = Resize(side, side), trunk.choose_engine("openvino")
    built = trunk.build_trunk(network, backbone.preprocessing, size, engine=engine, precision="f32", pooling="max")
    expected = np.asarray(network(backbone.preprocessing.apply(pixels), training=False))
    assert_close(built.run(pixels), expected if expected.ndim == 2 else expected.max((1, 2)))


def residual_network(channels: int = 3) -> keras.Model:
    """Return a network of 9 layers; three tensors cross layer 7."""
    keras.utils.set_random_seed(2)
    layers = keras.layers
    image = keras.Input((10, 12, channels), name="image")
    stem = layers.Conv2D(4, 3, padding="same", name="stem")(image)
    left = layers.Conv2D(4, 3, padding="same", activation="relu", name="left")(stem)
    right = layers.AveragePooling2D(2, name="right")(left)
    deep = layers.Conv2D(5, 3, padding="same", name="deep")(right)
    both = layers.Add(name="both")([stem, left])
    small = layers.Conv2D(5, 3, strides=2, padding="same", name="small")(both)
    out = layers.Concatenate(name="joined")([small, deep, right])
    return keras.Model(image, layers.ReLU(name="out")(out))


def flat_outputs(network: keras.Model, names: list[str], inputs: np.ndarray) -> np.ndarray:
    """Return the outputs of some layers, flattened and joined, as a user of Keras gets them."""
    model = keras.Model(network.input, [network.get_layer(name).output for name in names])
    outputs = model.predict(inputs, verbose=0)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    return np.concatenate([np.reshape(output, (len(inputs), -1)) for output in outputs], axis=1)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("start", "names"),
    [
        (1, ["image"]),
        (3, ["stem", "left"]),
        (5, ["both", "right"]),
        (7, ["right", "small", "deep"]),
        (8, ["joined"]),
        (9, ["out"]),
    ],
)
def test_all_that_crosses_a_cut_comes_flat_and_in_order(start, names, engine):
    network, pixels = residual_network(), photographs(3)[:, :10, :12]
    assert [layer.name for layer in network.layers][:3] == ["image", "stem", "left"]
    built = trunk.build_trunk(
        network, ZERO_TO_ONE, Resize(10, 12), engine=trunk.Engine(engine, ""), precision="f32", start=start
    )
    features = built.run(pixels)
    shapes = cut.crossing_shapes(network, start)
    assert features.shape == (3, sum(int(np.prod(shape)) for shape in shapes))
    assert_close(features, flat_outputs(network, names, ZERO_TO_ONE.apply(pixels)))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("name", "start", "names"),
    [
        ("mobilenet_v2", 130, ["block_13_project_BN", "block_14_depthwise_BN"]),
        ("resnet50", 171, ["conv5_block2_out", "conv5_block3_2_relu"]),
    ],
)
def test_cuts_of_known_networks_equal_keras(name, start, names, engine):
    backbone, network, pixels = catalog.find(name), settled(name), photographs(3)
    built = trunk.build_trunk(
        network, backbone.preprocessing, Resize(64, 64), engine=trunk.Engine(engine, ""), precision="f32", start=start
    )
    assert_close(built.run(pixels), flat_outputs(network, names, backbone.preprocessing.apply(pixels)))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("pooling", "pool"), [("max", np.max), ("flatten", None)])
def test_other_poolings_of_one_grey_channel(pooling, pool, engine):
    network, grey = residual_network(channels=1), ZERO_TO_ONE.in_grey()
    pixels = photographs(3)[:, :10, :12]
    built = trunk.build_trunk(
        network, grey, Resize(10, 12), engine=trunk.Engine(engine, ""), precision="f32", pooling=pooling
    )
    brightness = (pixels.astype(np.float64) @ [0.299, 0.587, 0.114])[..., None] / 255
    maps = network.predict(brightness.astype(np.float32), verbose=0)
    assert_close(built.run(pixels), pool(maps, (1, 2)) if pool else maps.reshape(3, -1))


@pytest.mark.realdata
@real
@pytest.mark.parametrize("name", PRETRAINED)
def test_real_weights_on_photographs_equal_keras_predict(name):
    backbone = catalog.find(name)
    network = architectures.build(backbone, image_size=224)
    weights.load(network, weights.require(backbone, weights_dir=SHARED / "weights"))
    paths = sorted((SHARED / "datasets" / "flower_photos" / "daisy").iterdir())[:6]
    size = Resize(224, 224)
    pixels = np.stack([decode.load(path.read_bytes(), size) for path in paths])
    built = trunk.build_trunk(
        network, backbone.preprocessing, size, engine=trunk.choose_engine("openvino"), precision="f32"
    )
    assert_close(built.run(pixels), keras_features(network, backbone, pixels))


def test_bf16_is_asked_for_not_chosen():
    backbone, network, pixels = catalog.find("mobilenet"), settled("mobilenet"), photographs(4)
    engine, size = trunk.choose_engine("openvino"), Resize(64, 64)
    exact, short = (
        trunk.build_trunk(network, backbone.preprocessing, size, engine=engine, precision=precision).run(pixels)
        for precision in ("f32", "bf16")
    )
    assert_close(exact, keras_features(network, backbone, pixels))
    np.testing.assert_allclose(short, exact, atol=0.1 * float(np.abs(exact).max()))


def test_the_engine_can_be_chosen(monkeypatch):
    assert trunk.choose_engine("keras").name == "keras"
    assert trunk.choose_engine("openvino").name == "openvino"
    monkeypatch.setenv("HEADSTART_ENGINE", "keras")
    assert trunk.choose_engine().label.startswith("keras-3")


def test_milliseconds_per_image_is_a_time():
    class Counting:
        batch_size = workers = 1
        calls = 0

        def run(self, pixels):
            self.calls += 1
            assert pixels.shape == (1, 8, 9, 3)
            return np.zeros((1, 2), np.float32)

    counting = Counting()
    assert 0 <= trunk.milliseconds_per_image(counting, Resize(8, 9), repeats=3) < 1000
    assert counting.calls == 4
