"""The networks written here, against plain NumPy and against what is known of them."""

import numpy as np
import pytest

from headstart.backbones.architectures import build, outline, without_values
from headstart.backbones.catalog import CATALOG
from headstart.backbones.engine import keras_module
from headstart.backbones.own_networks import averaging

ALEXNET, FLOWER, HIGHWAY, SMALL = (CATALOG[name] for name in ("alexnet", "flower_cnn", "vgg16_highway", "small_cnn"))


@pytest.mark.parametrize(("size", "side"), [(8, 4), (15, 8), (16, 4), (32, 4), (64, 4), (100, 7), (224, 14)])
def test_the_small_cnn_halves_down_to_four_pixels_but_four_times_at_most(size, side):
    assert outline(SMALL, image_size=size).output_shape == (None, side, side, 128)


@pytest.mark.slow
def test_the_small_cnn_learns_the_digits():
    from sklearn.datasets import load_digits

    keras, digits = keras_module(), load_digits()
    grey = np.round(digits.images * 255 / 16).astype(np.uint8)
    inputs, labels = SMALL.preprocessing.apply(np.repeat(grey[..., None], 3, axis=-1)), digits.target
    features = build(SMALL, image_size=8, seed=0)
    pooled = keras.layers.GlobalAveragePooling2D()(features.output)
    output = keras.layers.Dense(10, activation="softmax", kernel_initializer=keras.initializers.GlorotUniform(seed=0))
    model = keras.Model(features.input, output(pooled))
    model.compile(keras.optimizers.Adam(3e-3), loss="sparse_categorical_crossentropy")
    order = np.random.default_rng(0).permutation(len(labels))
    train, test = order[:1400], order[1400:]
    model.fit(inputs[train], labels[train], batch_size=32, epochs=8, shuffle=False, verbose=0)
    accuracy = np.mean(model.predict(inputs[test], verbose=0).argmax(axis=1) == labels[test])
    assert accuracy >= 0.97


def test_the_flower_cnn_with_its_head_has_the_parameters_of_the_report():
    keras, network = keras_module(), outline(FLOWER, image_size=224)
    with without_values():
        values = keras.layers.GlobalMaxPooling2D()(network.output)
        values = keras.layers.Dense(64, activation="relu")(keras.layers.Dropout(0.3)(values))
        values = keras.layers.Dense(5, activation="softmax")(keras.layers.Dropout(0.1)(values))
        model = keras.Model(network.input, values)
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert (model.count_params(), trainable, model.count_params() - trainable) == (407_109, 406_149, 960)


def test_the_flower_cnn_pools_by_three_and_penalises_its_kernels():
    model = build(FLOWER, image_size=27, seed=1)
    kernels = [layer.get_weights()[0] for layer in model.layers if layer.name.startswith("convolution")]
    assert [kernel.shape[-1] for kernel in kernels] == [32, 64, 128, 256]
    expected = 0.001 * sum(float(np.sum(kernel.astype(np.float64) ** 2)) for kernel in kernels)
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)
    assert [layer.rate for layer in model.layers if layer.name.startswith("dropout")] == [0.3, 0.3]
    assert [outline(FLOWER, image_size=size).output_shape[1] for size in (27, 28, 224)] == [1, 2, 9]


def convolve(values, weight, bias, *, stride=1, padding=0):
    """Convolve ``(n, c, h, w)`` as torch does, with ReLU."""
    padded = np.pad(values, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    sums = np.tensordot(windows, weight, axes=([1, 4, 5], [1, 2, 3])) + bias
    return np.maximum(sums, 0).transpose(0, 3, 1, 2)


def pool(values):
    windows = np.lib.stride_tricks.sliding_window_view(values, (3, 3), axis=(2, 3))[:, :, ::2, ::2]
    return windows.max(axis=(4, 5))


def adapt(values):
    """Average to 6 x 6 as torch's AdaptiveAvgPool2d."""
    side = values.shape[2]
    spans = [slice(i * side // 6, -(-(i + 1) * side // 6)) for i in range(6)]
    return np.stack([np.stack([values[:, :, i, j].mean(axis=(2, 3)) for j in spans], -1) for i in spans], -2)


def torch_alexnet(arrays, values):
    """Return torchvision's AlexNet up to its first dense layer and ReLU, in NumPy: channels first throughout."""

    def of(name):
        return arrays[f"{name}.weight"], arrays[f"{name}.bias"]

    values = pool(convolve(values, *of("features.0"), stride=4, padding=2))
    values = pool(convolve(values, *of("features.3"), padding=2))
    for name in ("features.6", "features.8", "features.10"):
        values = convolve(values, *of(name), padding=1)
    flat = adapt(pool(values)).reshape(len(values), -1)
    return np.maximum(flat @ arrays["classifier.1.weight"].T + arrays["classifier.1.bias"], 0)


@pytest.mark.slow
def test_alexnet_computes_what_torchvision_computes(tmp_path, torch_arrays):
    from headstart.backbones import weights

    np.savez(tmp_path / "alexnet.npz", **torch_arrays)
    file = weights.locate(ALEXNET, weights_dir=tmp_path)
    # at 63 the last map is one pixel, at 224 it is 6 x 6 already, at 290 the windows of the average overlap
    for size in (63, 224, 290):
        model = build(ALEXNET, image_size=size)
        weights.load(model, file)
        images = np.random.default_rng(size).standard_normal((1, 3, size, size), np.float32)
        expected = torch_alexnet(torch_arrays, images)
        received = np.asarray(model(images.transpose(0, 2, 3, 1), training=False))
        assert received.shape == (1, 4096) and expected.std() > 0.01
        np.testing.assert_allclose(received, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("inputs", [1, 3, 6, 8, 13])
def test_averaging_is_the_mean_over_the_windows_of_torch(inputs):
    values = np.random.default_rng(0).standard_normal((1, 1, inputs, inputs))
    matrix = averaging(inputs, 6)
    np.testing.assert_allclose(matrix @ values[0, 0] @ matrix.T, adapt(values)[0, 0], atol=1e-6)
    np.testing.assert_array_equal(averaging(6, 6), np.eye(6))


def test_alexnet_drops_out_before_its_dense_layer():
    layers = outline(ALEXNET, image_size=63).layers
    names = [layer.name for layer in layers]
    assert names[-4:] == ["flatten", "dropout_1", "classifier_1", "classifier_1_relu"]
    assert layers[-3].rate == 0.5 and layers[-2].units == 4096


def test_highway_layers_mix_what_they_change_with_what_they_get():
    keras, model = keras_module(), build(HIGHWAY, image_size=32, seed=1)
    names = [f"block3_{part}" for part in ("conv1", "conv2", "gate2", "add2")]
    watch = keras.Model(model.input, [model.get_layer(name).output for name in names])
    images = np.random.default_rng(0).standard_normal((2, 32, 32, 3)).astype(np.float32) * 50
    values, changed, gate, output = (np.asarray(one) for one in watch(images))
    kernel, bias = model.get_layer("block3_gate2").get_weights()
    assert kernel.shape == (1, 1, 256, 256) and (bias == -2).all()
    np.testing.assert_allclose(gate, 1 / (1 + np.exp(-(values @ kernel[0, 0] + bias))), atol=1e-5)
    np.testing.assert_allclose(output, changed * gate + values * (1 - gate), atol=1e-5 * np.abs(output).max())


def test_the_highway_vgg16_gates_the_convolutions_that_keep_their_channels():
    model, plain = outline(HIGHWAY, image_size=32), outline(CATALOG["vgg16"], image_size=32)
    gates = [layer.name for layer in model.layers if "gate" in layer.name]
    assert len(gates) == 9 and gates[0] == "block1_gate2" and gates[-1] == "block5_gate3"
    for layer in plain.layers[1:]:
        assert [one.shape for one in model.get_layer(layer.name).weights] == [one.shape for one in layer.weights]
