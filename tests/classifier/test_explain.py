"""Maps of where a classifier looked: against TensorFlow, over the catalogue, and on images whose answer is known."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from headstart.backbones import architectures, catalog
from headstart.backbones.catalog import ZERO_TO_ONE
from headstart.classifier import bundle, predict
from headstart.classifier.bundle import Provenance
from headstart.classifier.explain import Explainer
from headstart.classifier.heat import agreement
from headstart.data import decode
from headstart.data.decode import Resize
from headstart.errors import ClassifierError, ImageError
from headstart.features import graph
from headstart.features.combined_graph import Backbone, Member, average_graph, flip_graph, joined_graph
from headstart.recipe import Head

CLASSES = ("reddish", "greenish", "bluish")
SIDE = 32
PROVENANCE = Provenance("study", "print", "tiny-lr0.1", "tiny", "random:0", "Apache-2.0", 80, 20, 0.9)
# One of each way to build a network, the smallest of its kind; alexnet ends in a vector.
BATTERY = {
    "alexnet": (6, 6),
    "convnext_tiny": (2, 2),
    "densenet121": (2, 2),
    "efficientnet_b0": (2, 2),
    "flower_cnn": (3, 3),
    "mobilenet": (2, 2),
    "resnet50": (2, 2),
    "small_cnn": (4, 4),
    "vgg16": (2, 2),
}


@functools.cache
def network(channels: int = 6, stride: int = 2) -> keras.Model:
    keras.utils.set_random_seed(channels)
    image = keras.Input((SIDE, SIDE, 3))
    values = keras.layers.Conv2D(channels, 3, strides=stride, padding="same", activation="relu")(image)
    return keras.Model(image, keras.layers.BatchNormalization()(values))


@functools.cache
def converted(model: keras.Model):
    return graph.from_keras(model)


def backbone_graph(model: keras.Model, size: Resize, *, any_size: bool, pooling: str = "average"):
    return graph.backbone_graph(converted(model).clone(), ZERO_TO_ONE, size, any_size=any_size, pooling=pooling)


def kernel_and_bias(inputs: int, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.normal(size=(inputs, 3)).astype(np.float32), random.normal(size=3).astype(np.float32)]


def save(folder, model, size=None) -> predict.Classifier:
    size = size or Resize(SIDE, SIDE)
    bundle.save(folder, model, {}, classes=CLASSES, size=size, precision="f32", provenance=PROVENANCE)
    return predict.load(folder)


def classifier_of(model: keras.Model, folder, head: Head, weights) -> predict.Classifier:
    backbone = backbone_graph(model, Resize(SIDE, SIDE), any_size=True, pooling=head.pooling)
    return save(folder, graph.add_head(backbone, head, weights))


def photographs(count: int = 11) -> list[np.ndarray]:
    random = np.random.default_rng(5)
    return [random.integers(0, 256, (30 + 3 * number, 60 - number, 3), np.uint8) for number in range(count)]


def seen(images) -> np.ndarray:
    return ZERO_TO_ONE.apply(np.stack([decode.load(one, Resize(SIDE, SIDE)) for one in images]))


def grad_cam_of_tensorflow(values: tf.Tensor, score_of, classes) -> np.ndarray:
    """Return what the article's formula gives, written with TensorFlow."""
    with tf.GradientTape() as tape:
        tape.watch(values)
        score = tf.gather(score_of(values), classes, batch_dims=1)
    weights = tf.reduce_mean(tape.gradient(score, values), axis=(1, 2))
    heat = tf.nn.relu(tf.einsum("nhwc,nc->nhw", values, weights)).numpy()
    largest = heat.max(axis=(1, 2), keepdims=True)
    return np.divide(heat, largest, out=np.zeros_like(heat), where=largest > 0)


def colour_classifier(folder) -> predict.Classifier:
    """Return a classifier by hand: a class is as probable as the image has places of its colour."""
    image = keras.Input((SIDE, SIDE, 3))
    convolution = keras.layers.Conv2D(3, 3, strides=2, padding="same", activation="relu")
    model = keras.Model(image, convolution(image))
    kernel = np.full((3, 3, 3, 3), -1 / 9, np.float32)
    kernel[:, :, range(3), range(3)] = 1 / 9
    convolution.set_weights([kernel, np.full(3, -0.1, np.float32)])
    return classifier_of(model, folder, Head(), [np.eye(3, dtype=np.float32) * 40, np.zeros(3, np.float32)])


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    return colour_classifier(tmp_path_factory.mktemp("run") / "it")


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "logistic"])
@pytest.mark.parametrize("pooling", ["average", "max"])
def test_maps_are_those_of_the_formula(tmp_path, pooling, output):
    model, weights = network(), kernel_and_bias(6)
    classifier = classifier_of(model, tmp_path / "it", Head(pooling, (), output), weights)
    images, classes = photographs(), [0, 1, 2, 2, 1, 0, 0, 1, 2, 0, 1]
    reduce = {"average": tf.reduce_mean, "max": tf.reduce_max}[pooling]

    def score_of(values):
        scores = reduce(values, (1, 2)) @ weights[0] + weights[1]
        # the logarithm of the sigmoid as Keras has it leads to the same map
        return tf.math.log_sigmoid(scores) if output == "sigmoid" else scores

    expected = grad_cam_of_tensorflow(tf.convert_to_tensor(model(seen(images))), score_of, classes)
    found = Explainer(classifier).grad_cam(images, classes)
    assert [(one.shape, one.dtype) for one in found] == [((16, 16), np.float32)] * 11
    assert sum(one.max() == 1 for one in found) > 0
    np.testing.assert_allclose(np.stack(found), expected, atol=2e-4)


def test_no_class_means_the_most_probable_one(colours):
    images, explainer = photographs(), Explainer(colours)
    for number, image in enumerate(images):
        image[:20, :20, number % 3] = 255
    likeliest = colours.probabilities(images).argmax(axis=1).tolist()
    assert likeliest == [number % 3 for number in range(11)]
    for asked, free in zip(explainer.grad_cam(images, likeliest), explainer.grad_cam(images, [None] * 11), strict=True):
        np.testing.assert_array_equal(asked, free)
    drops = [explainer.occlusion(images[1], one, places=3) for one in (None, likeliest[1])]
    np.testing.assert_array_equal(*drops)


def test_files_and_arrays_give_the_same_and_bad_files_are_named(tmp_path):
    from PIL import Image

    explainer = Explainer(classifier_of(network(), tmp_path / "it", Head(), kernel_and_bias(6)))
    [image, other] = photographs(2)
    Image.fromarray(image).save(tmp_path / "one.png")
    both = explainer.grad_cam([tmp_path / "one.png", image, other], [0, 0, 0])
    np.testing.assert_array_equal(both[0], both[1])
    assert explainer.grad_cam([], []) == []
    (tmp_path / "bad.jpg").write_text("no picture")
    for wrong in (tmp_path / "bad.jpg", tmp_path / "nothing.jpg"):
        with pytest.raises(ImageError, match=wrong.name):
            explainer.grad_cam([image, wrong], [0, 0])
        with pytest.raises(ImageError, match=wrong.name):
            explainer.occlusion(wrong, 0)


@pytest.mark.parametrize("name", BATTERY)
def test_every_family_of_the_catalogue_has_a_map(name, tmp_path):
    row = catalog.find(name)
    side = max(row.minimum_size, 64)
    model = architectures.build(row, image_size=side, seed=0)
    architectures.settle_normalization(model, row.preprocessing, seed=0)
    size, channels = Resize(side, side), model.output_shape[-1]
    backbone = graph.backbone_graph(graph.from_keras(model), row.preprocessing, size, any_size=True)
    classifier = save(tmp_path / "it", graph.add_head(backbone, Head(), kernel_and_bias(channels)), size)
    maps = Explainer(classifier).grad_cam(photographs(6), [0, 1, 2, 0, 1, 2])
    assert {one.shape for one in maps} == {BATTERY[name]}
    assert np.isfinite(maps).all()
    # a class' map may be empty, but not every class of every image
    assert np.max(maps) == 1
    assert np.min(maps) >= 0


def member(model: keras.Model, seed: int) -> Member:
    size = Resize(SIDE, SIDE)
    return Member(
        Backbone(backbone_graph(model, size, any_size=False), size),
        Head(),
        kernel_and_bias(model.output_shape[-1], seed),
    )


def test_several_networks_give_one_map_on_the_finest_grid(tmp_path):
    images, members = photographs(3), [member(network(), 0), member(network(9, 4), 1)]
    maps = Explainer(save(tmp_path / "it", average_graph(members))).grad_cam(images, [None] * 3)
    assert [one.shape for one in maps] == [(16, 16)] * 3
    assert np.max(maps) == 1


def test_where_one_of_two_networks_has_no_say_the_map_is_the_other_ones(tmp_path):
    images, (kernel, bias) = photographs(3), kernel_and_bias(15)
    kernel[6:] = 0
    backbones = [member(network(), 0).backbone, member(network(9, 4), 1).backbone]
    joined = save(tmp_path / "joined", joined_graph(backbones, Head(), [kernel, bias]))
    alone = classifier_of(network(), tmp_path / "alone", Head(), [kernel[:6], bias])
    found, expected = (Explainer(one).grad_cam(images, [0, 1, 2]) for one in (joined, alone))
    assert np.max(expected) == 1
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("others", [(), (9,)])
def test_the_map_of_an_image_and_its_mirror_image_is_turned_back(tmp_path, others):
    backbones = [member(model, 0).backbone for model in (network(), *(network(one, 4) for one in others))]
    classifier = save(tmp_path / "it", flip_graph(backbones, Head(), kernel_and_bias(6 + sum(others))))
    images = photographs(4)
    straight = Explainer(classifier).grad_cam(images, [0, 1, 2, 0])
    turned = Explainer(classifier).grad_cam([one[:, ::-1] for one in images], [0, 1, 2, 0])
    assert max(one.max() for one in straight) == 1
    for one, other in zip(straight, turned, strict=True):
        np.testing.assert_allclose(one, other[:, ::-1], atol=1e-4)


def test_what_grad_cam_cannot_differentiate_is_said_and_occlusion_works(tmp_path):
    image = keras.Input((SIDE, SIDE, 3))
    values = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(image))
    odd = keras.Model(image, keras.layers.Activation("softplus")(keras.layers.Dense(3)(values)))
    explainer = Explainer(classifier_of(odd, tmp_path / "it", Head(), kernel_and_bias(3)))
    with pytest.raises(ClassifierError, match=r"'SoftPlus'.*--method occlusion"):
        explainer.grad_cam(photographs(1), [0])
    assert explainer.occlusion(photographs(1)[0], 0, places=4).shape == (4, 4)


CORNERS = {"upper left": (0, 0), "upper right": (0, 1), "lower left": (1, 0), "lower right": (1, 1)}


@pytest.mark.parametrize(("corner", "colour"), list(zip(CORNERS, (0, 1, 2, 0), strict=True)))
def test_both_maps_point_at_the_square_that_decides(colours, corner, colour):
    picture = np.random.default_rng(1).integers(90, 150, (64, 64, 1), np.uint8).repeat(3, axis=2)
    down, across = CORNERS[corner]
    square = slice(6 + 36 * down, 22 + 36 * down), slice(6 + 36 * across, 22 + 36 * across)
    picture[square] = 0
    picture[(*square, colour)] = 255
    assert colours.predict([picture])[0].answer == CLASSES[colour]
    explainer = Explainer(colours)
    [looked], drops = explainer.grad_cam([picture], [None]), explainer.occlusion(picture)
    for heat in (looked, np.maximum(drops, 0)):
        middle = [
            np.average((np.arange(n) + 0.5) / n, weights=heat.sum(axis=1 - axis)) for axis, n in enumerate(heat.shape)
        ]
        assert middle == pytest.approx([14 / 64 + down * 36 / 64, 14 / 64 + across * 36 / 64], abs=0.06)
    assert drops.max() > 0.2
    assert agreement(looked, np.maximum(drops, 0)) > 0.4


def test_occlusion_is_the_drop_for_a_square_of_the_mean_colour(colours):
    image = photographs(1)[0]
    pixels = decode.load(image, Resize(SIDE, SIDE))
    drops = Explainer(colours).occlusion(image, 1, places=4)
    assert drops.shape == (4, 4)
    colour = np.round(pixels.mean(axis=(0, 1)))
    for row, column in ((0, 0), (1, 2), (3, 3)):
        covered = pixels.copy()
        # 8 pixels around the middles 4, 12, 20 and 28
        covered[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] = colour
        expected = np.subtract(*(colours.probabilities([one])[0, 1] for one in (pixels, covered)))
        assert drops[row, column] == pytest.approx(expected, abs=1e-6)


def test_squares_reach_over_the_edges_and_small_inputs_have_fewer_places(tmp_path):
    from headstart.classifier.explain import _CoveredInputs

    pixels = np.zeros((28, 10, 3), np.uint8)
    pixels[:, ::2] = 200
    covered = _CoveredInputs(pixels, 14)
    assert (covered.rows, covered.columns, len(covered)) == (14, 10, 141)
    np.testing.assert_array_equal(covered[0], pixels)
    changed = np.stack([(covered[place] == 100).all(axis=2) for place in range(1, 141)])
    assert changed.any(axis=(1, 2)).all()
    assert changed.any(axis=0).all()
    assert changed.sum(axis=1).max() <= 7
    assert (pixels != 100).all()
    with pytest.raises(IndexError):
        covered[141]
