import numpy as np
import pytest

from headstart.backbones.engine import keras_module
from headstart.training.modes import measure_statistics, set_free, set_mode


@pytest.fixture
def network():
    """A network used as a layer, then batch normalisation and dropout of its own."""
    keras = keras_module()
    layers = keras.layers
    inner = [layers.Conv2D(3, 1, name="convolution"), layers.BatchNormalization(name="inner_normalization")]
    image = keras.Input((4, 4, 3))
    values = keras.Sequential(inner, name="stem")(image)
    values = layers.BatchNormalization(name="normalization")(values)
    return keras.Model(image, layers.Dropout(0.5, seed=0, name="dropout")(values))


IMAGES = np.random.default_rng(0).normal(3, 2, (8, 4, 4, 3)).astype(np.float32)
NAMES = ("inner_normalization", "normalization")


def run_in_training(network):
    """Run the network as in a training step, and say whose statistics moved, and whether units were dropped."""
    stem = network.get_layer("stem")
    layers = [stem.get_layer(NAMES[0]), network.get_layer(NAMES[1])]
    before = [np.array(layer.moving_mean.value) for layer in layers]
    output = np.array(network(IMAGES, training=True))
    moved = [not np.array_equal(old, layer.moving_mean.value) for old, layer in zip(before, layers, strict=True)]
    return tuple(moved), bool((output == 0).mean() > 0.2)


@pytest.mark.parametrize(
    ("cut", "settled", "moved", "drops"),
    [
        (0, False, (True, True), True),
        (1, True, (False, False), True),
        (2, False, (False, True), True),
        (2, True, (False, False), True),
        (3, False, (False, False), True),
        (4, False, (False, False), False),
    ],
)
def test_frozen_and_settled_layers_keep_their_statistics(network, cut, settled, moved, drops):
    set_mode(network, cut, settled=settled)
    assert run_in_training(network) == (moved, drops)
    trainable = {variable.path.split("/")[-2] for variable in network.trainable_weights}
    behind = {0: {"convolution", *NAMES}, 1: {"convolution", *NAMES}, 2: {"normalization"}}
    assert trainable == behind.get(cut, set())
    set_free(network)
    assert run_in_training(network) == ((True, True), True)
    assert len(network.trainable_weights) == 6


def test_a_held_layer_computes_what_inference_computes(network):
    expected = np.array(network(IMAGES, training=False))
    set_mode(network, 4, settled=False)
    assert np.array_equal(np.array(network(IMAGES, training=True)), expected)


def test_statistics_are_those_of_all_images_together(network):
    """In batches of 3, 3 and 2; each layer sees what the one before it gives from a batch's own statistics."""
    stem, outer = network.get_layer("stem"), network.get_layer(NAMES[1])
    inner, batches = stem.get_layer(NAMES[0]), [IMAGES[:3], IMAGES[3:6], IMAGES[6:]]
    momenta = inner.momentum, outer.momentum
    measure_statistics(network, network.layers, batches)
    kernel, bias = (np.array(one) for one in stem.get_layer("convolution").get_weights())
    values = IMAGES @ kernel[0, 0] + bias
    assert np.array(inner.moving_mean.value) == pytest.approx(values.mean(axis=(0, 1, 2)), abs=1e-5)
    assert np.array(inner.moving_variance.value) == pytest.approx(values.var(axis=(0, 1, 2)), rel=1e-5)
    normal = []
    for part in np.split(values, [3, 6]):
        mean, variance = part.mean(axis=(0, 1, 2)), part.var(axis=(0, 1, 2))
        normal.append((part - mean) / np.sqrt(variance + inner.epsilon))
    assert np.array(outer.moving_mean.value) == pytest.approx(0, abs=1e-5)
    assert np.array(outer.moving_variance.value) == pytest.approx(np.concatenate(normal).var(axis=(0, 1, 2)), rel=1e-5)
    assert (inner.momentum, outer.momentum) == momenta


def test_statistics_of_layers_that_are_not_asked_for_stay(network):
    stem, outer = network.get_layer("stem"), network.get_layer(NAMES[1])
    before = np.array(stem.get_layer(NAMES[0]).moving_mean.value)
    set_mode(network, 2, settled=False)
    measure_statistics(network, network.layers[2:], [IMAGES])
    assert np.array_equal(before, stem.get_layer(NAMES[0]).moving_mean.value)
    assert np.abs(np.array(outer.moving_mean.value)).max() > 0.01
    set_free(network)
