"""Last feature maps and gradients there, against TensorFlow's GradientTape on the same network in Keras."""

import functools
import itertools

import keras
import numpy as np
import openvino as ov
import pytest
import tensorflow as tf

from headstart.backbones.catalog import ZERO_TO_ONE
from headstart.data.decode import Resize
from headstart.errors import ClassifierError
from headstart.features import graph
from headstart.features.combined_graph import Backbone, Member, average_graph, flip_graph, joined_graph
from headstart.features.gradients import FeatureMap, GradientTrunk
from headstart.recipe import Head

SIDE, CHANNELS, CLASSES = 12, 8, 4
SIZE = Resize(SIDE, SIDE)
PIXELS = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), np.uint8)
ASKED = (0, 3, None, 1, 2)
HEADS = [
    Head("average"),
    Head("max"),
    Head("flatten"),
    Head("average", ("dense 6", "dropout 0.5", "dense 5 tanh")),
    Head("max", ("dense 6 linear", "dense 7")),
    Head("flatten", ("dense 6 tanh",)),
    Head("average", output="logistic"),
    Head("average", output="sigmoid"),
    Head("max", ("dense 6",), "sigmoid"),
]


@functools.cache
def network(channels: int = CHANNELS, stride: int = 2, seed: int = 1) -> keras.Model:
    """Return a network with a map of 6 x 6, or of 3 x 3 with a stride of 4."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((SIDE, SIDE, 3))
    values = keras.layers.Conv2D(channels, 3, strides=stride, padding="same", activation="relu")(image)
    return keras.Model(image, keras.layers.BatchNormalization()(values))


def vector_network() -> keras.Model:
    """Return a network whose own dense layers follow its last feature map, called ``map``."""
    keras.utils.set_random_seed(2)
    layers = keras.layers
    image = keras.Input((SIDE, SIDE, 3))
    values = layers.Conv2D(5, 3, strides=2, activation="relu")(image)
    values = layers.MaxPooling2D(2, name="map")(values)
    values = layers.Dense(9)(layers.Flatten()(values))
    values = layers.BatchNormalization()(values)
    values = layers.Dropout(0.5)(layers.ReLU()(values))
    return keras.Model(image, layers.Dense(7, activation="sigmoid")(values))


def head_weights(head: Head, inputs: int, seed: int = 3) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    units = [inputs, *(layer.units for layer in head.dense_layers(CLASSES))]
    shapes = [shape for pair in itertools.pairwise(units) for shape in (pair, pair[1:])]
    return [random.normal(size=shape).astype(np.float32) for shape in shapes]


def keras_scores(head: Head, weights: list[np.ndarray], values: tf.Tensor) -> tf.Tensor:
    """Return what Keras' layers make of a feature map, before the output's activation."""
    layers = keras.layers
    if len(values.shape) == 4:
        pooling = {
            "average": layers.GlobalAveragePooling2D,
            "max": layers.GlobalMaxPooling2D,
            "flatten": layers.Flatten,
        }
        values = pooling[head.pooling]()(values)
    for place, layer in enumerate(head.dense_layers(CLASSES)):
        dense = layers.Dense(layer.units, activation=layer.activation)
        dense.build(values.shape)
        dense.set_weights(weights[2 * place : 2 * place + 2])
        values = dense(values)
    return values


@functools.cache
def converted(model: keras.Model) -> ov.Model:
    return graph.from_keras(model)


def backbone_of(model: keras.Model, pooling: str = "average") -> ov.Model:
    return graph.backbone_graph(converted(model).clone(), ZERO_TO_ONE, SIZE, any_size=False, pooling=pooling)


def trunk_of(model: ov.Model, folder) -> GradientTrunk:
    """Return the trunk of a graph that went through a file, as a bundle's does."""
    ov.save_model(model, folder / "model.xml", compress_to_fp16=False)
    read = ov.Core().read_model(folder / "model.xml")
    read.reshape([-1, SIDE, SIDE, 3])
    return GradientTrunk(read, precision="f32")


def agrees(found: FeatureMap, values: tf.Tensor, gradient: tf.Tensor) -> None:
    np.testing.assert_allclose(found.values, values, atol=1e-5)
    assert np.abs(gradient).max() > 1e-3
    np.testing.assert_allclose(found.gradient, gradient, atol=1e-5 * np.abs(gradient).max() + 1e-6)


def chosen(scores: tf.Tensor, asked=ASKED) -> tf.Tensor:
    picks = [int(np.argmax(row)) if one is None else one for row, one in zip(scores, asked, strict=True)]
    return tf.gather(scores, picks, batch_dims=1)


@pytest.mark.parametrize("head", HEADS, ids=lambda head: f"{head.pooling}-{head.output}-{len(head.layers)}")
def test_gradients_are_those_of_tensorflow(head, tmp_path):
    model = network()
    weights = head_weights(head, CHANNELS * (36 if head.pooling == "flatten" else 1))
    values = tf.convert_to_tensor(model(ZERO_TO_ONE.apply(PIXELS)))
    with tf.GradientTape() as tape:
        tape.watch(values)
        score = chosen(keras_scores(head, weights, values))
    [found] = trunk_of(graph.add_head(backbone_of(model, head.pooling), head, weights), tmp_path).feature_maps(
        PIXELS, ASKED
    )
    assert found.values.shape == (5, 6, 6, CHANNELS)
    agrees(found, values, tape.gradient(score, values))


def test_a_backbone_that_ends_in_a_vector_has_its_last_map(tmp_path):
    model, head = vector_network(), Head()
    weights = head_weights(head, 7)
    until = keras.Model(model.input, model.get_layer("map").output)
    after = keras.Model(model.get_layer("map").output, model.output)
    values = tf.convert_to_tensor(until(ZERO_TO_ONE.apply(PIXELS)))
    with tf.GradientTape() as tape:
        tape.watch(values)
        score = chosen(keras_scores(head, weights, after(values)))
    [found] = trunk_of(graph.add_head(backbone_of(model), head, weights), tmp_path).feature_maps(PIXELS, ASKED)
    assert found.values.shape == (5, 2, 2, 5)
    agrees(found, values, tape.gradient(score, values))


def test_a_very_sure_sigmoid_keeps_its_slope(tmp_path):
    head, weights = Head(output="sigmoid"), head_weights(Head(), CHANNELS)
    weights[-1][:] = 40
    model = network()
    [found] = trunk_of(graph.add_head(backbone_of(model), head, weights), tmp_path).feature_maps(PIXELS, ASKED)
    np.testing.assert_allclose(found.gradient[0], np.broadcast_to(weights[0][:, 0] / 36, (6, 6, CHANNELS)), rtol=1e-5)


def member(model: keras.Model, head: Head, seed: int) -> Member:
    return Member(Backbone(backbone_of(model), SIZE), head, head_weights(head, model.output_shape[-1], seed))


def test_an_average_has_a_map_for_each_network(tmp_path):
    models, heads = (network(), network(5, 4)), (Head(), Head(output="sigmoid"))
    members = [member(*each) for each in zip(models, heads, (3, 4), strict=True)]
    maps = [tf.convert_to_tensor(model(ZERO_TO_ONE.apply(PIXELS))) for model in models]
    with tf.GradientTape() as tape:
        tape.watch(maps)
        first, second = (keras_scores(one.head, one.weights, each) for one, each in zip(members, maps, strict=True))
        second = tf.sigmoid(second)
        mean = (tf.nn.softmax(first) + second / tf.reduce_sum(second, 1, keepdims=True)) / 2
        score = tf.math.log(chosen(mean))
    found = trunk_of(average_graph(members), tmp_path).feature_maps(PIXELS, ASKED)
    for one, values, gradient in zip(found, maps, tape.gradient(score, maps), strict=True):
        agrees(one, values, gradient)


def test_joined_features_have_a_map_for_each_network(tmp_path):
    models, head = (network(), network(5, 4)), Head(layers=("dense 6",))
    weights = head_weights(head, CHANNELS + 5)
    maps = [tf.convert_to_tensor(model(ZERO_TO_ONE.apply(PIXELS))) for model in models]
    with tf.GradientTape() as tape:
        tape.watch(maps)
        score = chosen(keras_scores(head, weights, tf.concat([tf.reduce_mean(one, (1, 2)) for one in maps], 1)))
    backbones = [Backbone(backbone_of(model), SIZE) for model in models]
    found = trunk_of(joined_graph(backbones, head, weights), tmp_path).feature_maps(PIXELS, ASKED)
    for one, values, gradient in zip(found, maps, tape.gradient(score, maps), strict=True):
        agrees(one, values, gradient)


@pytest.mark.parametrize("several", [False, True])
def test_mirror_images_are_the_second_half(tmp_path, several):
    models = (network(), network(5, 4)) if several else (network(),)
    weights = head_weights(Head(), CHANNELS + 5 * several)
    both = np.concatenate([PIXELS, PIXELS[:, :, ::-1]])
    maps = [tf.convert_to_tensor(model(ZERO_TO_ONE.apply(both))) for model in models]
    with tf.GradientTape() as tape:
        tape.watch(maps)
        pooled = tf.concat([tf.reduce_mean(one, (1, 2)) for one in maps], 1)
        said = tf.nn.softmax(keras_scores(Head(), weights, pooled))
        score = tf.math.log(chosen((said[:5] + said[5:]) / 2))
    backbones = [Backbone(backbone_of(model), SIZE) for model in models]
    found = trunk_of(flip_graph(backbones, Head(), weights), tmp_path).feature_maps(PIXELS, ASKED)
    assert [len(one.values) for one in found] == [10] * len(models)
    for one, values, gradient in zip(found, maps, tape.gradient(score, maps), strict=True):
        agrees(one, values, gradient)


def test_an_operation_without_a_derivative_is_named(tmp_path):
    keras.utils.set_random_seed(1)
    image = keras.Input((SIDE, SIDE, 3))
    values = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(image))
    odd = keras.Model(image, keras.layers.Activation("softplus")(keras.layers.Dense(3)(values)))
    with pytest.raises(ClassifierError, match=r"the operation 'SoftPlus'.*--method occlusion works") as caught:
        trunk_of(graph.add_head(backbone_of(odd), Head(), head_weights(Head(), 3)), tmp_path)
    assert "\n" not in str(caught.value)
