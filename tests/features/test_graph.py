"""The graph's own resize, preprocessing, pooling and head against Pillow, Keras and NumPy."""

import subprocess
import sys
from itertools import pairwise, product

import keras
import numpy as np
import openvino as ov
import PIL
import pytest
from PIL import Image

from headstart.backbones.catalog import ZERO_TO_ONE, Preprocessing
from headstart.data import decode
from headstart.data.decode import Resize
from headstart.features import graph
from headstart.recipe import Head

SIZES = [(240, 192), (100, 333), (333, 100), (48, 64), (1200, 17), (33, 33)]


TARGETS = [(48, 48), (40, 64)]


def compiled(node: ov.Node, parameter: ov.Node) -> ov.CompiledModel:
    return ov.Core().compile_model(ov.Model([node], [parameter]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def resize_in_graph(image: np.ndarray, size: Resize) -> np.ndarray:
    parameter = ov.opset13.parameter([-1, -1, -1, 3], np.uint8, name="image")
    return compiled(graph.resize_node(parameter, size), parameter)(image[None])[0][0]


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, channels), np.uint8)


def distances(image: np.ndarray, size: Resize) -> np.ndarray:
    """Return by how many grey levels the graph and the house's resize are apart."""
    here, expected = resize_in_graph(image, size), decode.load(image, size)
    assert here.shape == expected.shape == (size.height, size.width, 3)
    assert here.dtype == np.uint8
    return np.abs(here.astype(int) - expected)


@pytest.mark.parametrize("rule", ["stretch", "crop", "pad"])
@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("target", TARGETS)
def test_resize_is_within_one_grey_level_of_pillow(rule, height, width, target):
    assert distances(noise(height, width), Resize(*target, rule)).max() <= 1


@pytest.mark.skipif(int(PIL.__version__.split(".")[0]) < 13, reason="older Pillow always begins with the rows")
@pytest.mark.parametrize(("interpolation", "antialias"), [("bilinear", True), ("bicubic", True), ("bilinear", False)])
@pytest.mark.parametrize("rule", ["stretch", "crop", "pad"])
def test_other_filters_up_and_down(rule, interpolation, antialias):
    for target in ((48, 48), (300, 310), (130, 20)):
        size = Resize(*target, rule, interpolation, antialias)
        parameter = ov.opset13.parameter([-1, -1, -1, 3], np.uint8, name="image")
        run = compiled(graph.resize_node(parameter, size), parameter)
        for height, width in SIZES[:4]:
            image = noise(height, width)
            apart = np.abs(run(image[None])[0][0].astype(int) - decode.load(image, size))
            # both round twice: on noise, one pixel in thousands comes out two levels apart
            assert apart.max() <= 2
            assert np.mean(apart > 1) < 1e-3


def has_a_tie(height: int, width: int, size: Resize) -> bool:
    """Tell whether a position lies exactly between two pixels."""
    plan = decode.geometry(height, width, size)
    pairs = ((height, plan.height), (width, plan.width))
    return any((2 * place + 1) * source % (2 * scaled) == 0 for source, scaled in pairs for place in range(scaled))


NEAREST = [
    (source, size)
    for source in [(28, 28), (100, 333), (333, 100), (33, 33)]
    for target, rule in product([(32, 32), (48, 48), (200, 110)], ["stretch", "crop", "pad"])
    if not has_a_tie(*source, size := Resize(*target, rule, "nearest"))
]


@pytest.mark.parametrize(("source", "size"), NEAREST)
def test_nearest_is_exact_where_no_position_lies_between_two_pixels(source, size):
    assert distances(noise(*source), size).max() == 0


def test_nearest_takes_the_later_of_two():
    image = noise(6, 3)
    np.testing.assert_array_equal(resize_in_graph(image, Resize(3, 1, "stretch", "nearest")), image[1::2, 1:2])


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
def test_an_image_of_the_right_size_stays_as_it_is(interpolation):
    image = noise(40, 30)
    np.testing.assert_array_equal(resize_in_graph(image, Resize(40, 30, "crop", interpolation)), image)


@pytest.mark.parametrize("order", ["rgb", "bgr", "grey"])
def test_preprocessing_equals_numpy(order):
    preprocessing = Preprocessing(order, (0.5, 1.0, 2.0), (-1.0, 3.0, 0.25))
    pixels = np.stack([noise(5, 4), noise(5, 4)[::-1]])
    parameter = ov.opset13.parameter([-1, -1, -1, 3], np.uint8, name="image")
    here = compiled(graph.preprocess_node(parameter, preprocessing), parameter)(pixels)[0]
    np.testing.assert_allclose(here, preprocessing.apply(pixels), rtol=1e-5, atol=1e-5)


def test_grey_is_the_brightness_of_pillow():
    image = noise(9, 7)
    parameter = ov.opset13.parameter([-1, -1, -1, 3], np.uint8, name="image")
    grey = Preprocessing("grey", (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    here = compiled(graph.preprocess_node(parameter, grey), parameter)(image[None])[0]
    assert here.shape == (1, 9, 7, 1)
    # Pillow rounds down
    assert np.abs(here[0, :, :, 0] - np.asarray(Image.fromarray(image).convert("L"))).max() <= 1


def tiny_network(outputs: int) -> keras.Model:
    """Return a network that gives a feature map, or values ``(n, 6)``, of images of 12 x 12 pixels."""
    keras.utils.set_random_seed(1)
    image = keras.Input((12, 12, 3))
    values = keras.layers.Conv2D(5, 3, strides=2, activation="relu")(image)
    if outputs == graph.RANK_OF_FEATURES:
        values = keras.layers.Dense(6)(keras.layers.Flatten()(values))
    return keras.Model(image, values)


POOLS = {
    "average": lambda maps: maps.mean((1, 2)),
    "max": lambda maps: maps.max((1, 2)),
    "flatten": lambda maps: maps.reshape(len(maps), -1),
}


@pytest.mark.parametrize("rule", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("pooling", POOLS)
def test_pooling_of_images_of_any_size(pooling, rule):
    network, size = tiny_network(4), Resize(12, 12, rule)
    model = graph.backbone_graph(graph.from_keras(network), ZERO_TO_ONE, size, any_size=True, pooling=pooling)
    run = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    image = noise(12, 12)
    maps = np.asarray(network(ZERO_TO_ONE.apply(image[None])))
    outputs = run(image[None])
    np.testing.assert_allclose(outputs[graph.FEATURE_MAP], maps, atol=1e-5)
    np.testing.assert_allclose(outputs[graph.FEATURES], POOLS[pooling](maps), atol=1e-5)
    assert run(noise(31, 20)[None])[graph.FEATURES].shape == outputs[graph.FEATURES].shape


@pytest.mark.parametrize("pooling", POOLS)
def test_values_need_no_pooling(pooling):
    network = tiny_network(2)
    converted = graph.from_keras(network)
    model = graph.backbone_graph(converted, ZERO_TO_ONE, Resize(12, 12), any_size=False, pooling=pooling)
    image = noise(12, 12)[None]
    outputs = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(image)
    expected = np.asarray(network(ZERO_TO_ONE.apply(image)))
    for name in (graph.FEATURES, graph.FEATURE_MAP):
        np.testing.assert_allclose(outputs[name], expected, atol=1e-5)


def random_weights(sizes: tuple[int, ...]) -> list[np.ndarray]:
    random = np.random.default_rng(2)
    return [
        random.standard_normal(shape).astype(np.float32)
        for inputs, units in pairwise(sizes)
        for shape in ((inputs, units), (units,))
    ]


def head_by_hand(head: Head, weights: list[np.ndarray], features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return logits and probabilities in double precision, written out from the definitions."""
    activations = {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh, "linear": lambda z: z}
    values = features.astype(np.float64)
    for layer, kernel, bias in zip(head.dense_layers(3), weights[::2], weights[1::2], strict=True):
        values = activations[layer.activation](values @ kernel + bias)
    if head.output == "sigmoid":
        outputs = np.clip(1 / (1 + np.exp(-values)), 1e-7, 1 - 1e-7)
        return np.log(outputs), outputs / outputs.sum(axis=1, keepdims=True)
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return values, powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("scale", [1, 60])
@pytest.mark.parametrize(
    ("head", "sizes"),
    [
        (Head(), (5, 3)),
        (Head(output="logistic"), (5, 3)),
        (Head(output="sigmoid"), (5, 3)),
        (Head("max", ("dense 7", "dropout 0.3", "dense 4 tanh"), "sigmoid"), (5, 7, 4, 3)),
        (Head("flatten", ("dropout 0.5", "dense 6 linear", "dense 4 relu l2 0.01")), (125, 6, 4, 3)),
    ],
)
def test_a_head_equals_its_definition(head, sizes, scale):
    network, weights = tiny_network(4), random_weights(sizes)
    weights[-2] *= scale  # the sigmoid reaches its ends
    converted = graph.from_keras(network)
    backbone = graph.backbone_graph(converted, ZERO_TO_ONE, Resize(12, 12), any_size=False, pooling=head.pooling)
    model = graph.add_head(backbone, head, weights)
    pixels = np.stack([noise(12, 12), noise(13, 12)[:12]])
    outputs = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(pixels)
    features = POOLS[head.pooling](np.asarray(network(ZERO_TO_ONE.apply(pixels))))
    logits, probabilities = head_by_hand(head, weights, features)
    np.testing.assert_allclose(outputs[graph.LOGITS], logits, rtol=1e-3, atol=2e-4)
    np.testing.assert_allclose(outputs[graph.PROBABILITIES], probabilities, rtol=1e-3, atol=1e-4)


def test_the_converter_reports_to_nobody():
    code = """
from headstart.features import graph
graph.openvino_module()
from openvino.tools.ovc import telemetry_utils
print(telemetry_utils.tm.__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "openvino.tools.ovc.telemetry_stub"


def test_a_graph_and_its_arrays_come_back_from_bytes():
    network = tiny_network(4)
    model = graph.backbone_graph(
        graph.from_keras(network), ZERO_TO_ONE, Resize(12, 12), any_size=True, pooling="average"
    )
    arrays = {variable.path: np.asarray(variable.value) for variable in network.variables}
    again, found = graph.from_bytes(graph.to_bytes(model, arrays))
    assert list(found) == list(arrays)
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)
    images = noise(9, 11)[None]
    before, after = (ov.Core().compile_model(one, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}) for one in (model, again))
    assert after.outputs[0].any_name == before.outputs[0].any_name
    assert after(images)[0] == pytest.approx(before(images)[0], abs=1e-6)
