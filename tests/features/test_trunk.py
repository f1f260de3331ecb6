"""Trunks against plain Keras ``predict``: OpenVINO and Keras engines, random and real weights."""

from pathlib import Path

import keras
import numpy as np
import pytest

from headstart.backbones import architectures, catalog, weights
from headstart.data import decode
from headstart.data.decode import Resize
from headstart.features import trunk

SHARED = Path(__file__).parents[2].parent / "shared"
PRETRAINED = [row.name for row in catalog.CATALOG.values() if row.pretrained]
real = pytest.mark.skipif(not (SHARED / "weights").is_dir(), reason="the folder shared is not beside the repository")


def keras_features(network: keras.Model, backbone: catalog.Backbone, pixels: np.ndarray) -> np.ndarray:
    """Return pooled features as a user of Keras computes them, with keras.applications' own preprocessing."""
    model = keras.Sequential([network, keras.layers.GlobalAveragePooling2D()])
    module = getattr(keras.applications, backbone.name, keras.applications.resnet)
    return model.predict(module.preprocess_input(pixels.astype(np.float32)), verbose=0)


def assert_close(here: np.ndarray, expected: np.ndarray) -> None:
    """Compare to 1e-4 of the size of the features."""
    np.testing.assert_allclose(here, expected, rtol=1e-4, atol=1e-4 * float(np.abs(expected).mean()))


@pytest.mark.parametrize("engine", ["openvino", "keras"])
@pytest.mark.parametrize("name", PRETRAINED)
def test_random_weights_equal_keras_predict(name, engine):
    backbone = catalog.find(name)
    network = architectures.build(backbone, image_size=64, seed=0)
    architectures.settle_normalization(network, backbone.preprocessing, seed=0)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), np.uint8)
    built = trunk.build_trunk(
        network, backbone.preprocessing, Resize(64, 64), engine=trunk.Engine(engine, ""), precision="f32"
    )
    features = built.run(pixels)
    assert features.shape == (5, backbone.channels)
    assert_close(features, keras_features(network, backbone, pixels))


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
    backbone = catalog.find("mobilenet")
    network = architectures.build(backbone, image_size=64, seed=0)
    architectures.settle_normalization(network, backbone.preprocessing, seed=0)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
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
