"""Combined graphs against their members in Keras and NumPy, on images of the networks' size and of others."""

import functools

import keras
import numpy as np
import openvino as ov
import pytest

from headstart.backbones import architectures, catalog
from headstart.data import decode
from headstart.data.decode import Resize
from headstart.features import graph
from headstart.features.combined_graph import Backbone, Member, average_graph, flip_graph, joined_graph
from headstart.recipe import Head

OUTPUTS = (graph.PROBABILITIES, graph.LOGITS, graph.FEATURES, graph.FEATURE_MAP)
CLASSES = 3
SIZE = Resize(32, 32)


@functools.cache
def network(name: str, side: int = 32) -> keras.Model:
    backbone = catalog.find(name)
    model = architectures.build(backbone, image_size=side, seed=0)
    architectures.settle_normalization(model, backbone.preprocessing, seed=0)
    return model


def backbone(name: str, size: Resize = SIZE) -> Backbone:
    converted = graph.from_keras(network(name, size.height))
    return Backbone(graph.backbone_graph(converted, catalog.find(name).preprocessing, size, any_size=False), size)


def feature_maps(name: str, images: np.ndarray, size: Resize = SIZE) -> np.ndarray:
    """Return what Keras makes of images after the house's resize."""
    pixels = np.stack([decode.load(image, size) for image in images])
    return np.asarray(network(name, size.height)(catalog.find(name).preprocessing.apply(pixels)))


def pooled(name: str, images: np.ndarray, size: Resize = SIZE) -> np.ndarray:
    return feature_maps(name, images, size).mean((1, 2))


def head_weights(inputs: int, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    kernel = random.normal(0, 2 / np.sqrt(inputs), (inputs, CLASSES))
    return [kernel.astype(np.float32), random.normal(size=CLASSES).astype(np.float32)]


def member(one: Backbone, inputs: int, seed: int = 0, head: Head | None = None) -> Member:
    return Member(one, head or Head(), head_weights(inputs, seed))


def probabilities(features: np.ndarray, weights: list[np.ndarray], output: str = "softmax") -> np.ndarray:
    values = features.astype(np.float64) @ weights[0] + weights[1]
    powers = np.exp(values) if output == "softmax" else np.clip(1 / (1 + np.exp(-values)), 1e-7, 1 - 1e-7)
    return powers / powers.sum(axis=1, keepdims=True)


def photographs(count: int, height: int = 32, width: int = 32) -> np.ndarray:
    noise = np.random.default_rng(height).integers(0, 256, (count, height, width, 3), np.uint8)
    # darker to the left: no image looks like its mirror image
    return (noise * np.linspace(0.1, 1, width)[:, None]).astype(np.uint8)


def outputs_of(model: ov.Model, images: np.ndarray, folder) -> dict[str, np.ndarray]:
    """Return all outputs of a model that went through a file, as a bundle's does."""
    ov.save_model(model, folder / "model.xml", compress_to_fp16=False)
    core = ov.Core()
    run = core.compile_model(core.read_model(folder / "model.xml"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = run(images)
    found = {name: results[name] for name in OUTPUTS}
    powers = np.exp(found[graph.LOGITS] - found[graph.LOGITS].max(axis=1, keepdims=True))
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found[graph.PROBABILITIES], expected, atol=1e-6)
    return found


@pytest.fixture(scope="module")
def widths():
    return {name: pooled(name, photographs(1)).shape[1] for name in ("mobilenet", "mobilenet_v2")}


def test_an_average_is_the_mean_of_the_members(widths, tmp_path):
    images = photographs(5)
    members = [
        member(backbone("mobilenet"), widths["mobilenet"], 1),
        member(backbone("mobilenet_v2"), widths["mobilenet_v2"], 2, Head(output="sigmoid")),
    ]
    found = outputs_of(average_graph(members), images, tmp_path)
    said = [
        probabilities(pooled("mobilenet", images), members[0].weights),
        probabilities(pooled("mobilenet_v2", images), members[1].weights, "sigmoid"),
    ]
    assert np.abs(said[0] - said[1]).max() > 0.1
    np.testing.assert_allclose(found[graph.PROBABILITIES], np.mean(said, axis=0), atol=1e-5)
    np.testing.assert_allclose(found[graph.FEATURES], pooled("mobilenet", images), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found[graph.FEATURE_MAP], feature_maps("mobilenet", images), rtol=1e-3, atol=1e-3)


def test_members_of_one_backbone_share_it(widths, tmp_path):
    images, shared = photographs(4), backbone("mobilenet")
    members = [member(shared, widths["mobilenet"], seed) for seed in range(3)]
    model = average_graph(members)
    convolutions = sum("Convolution" in node.get_type_name() for node in model.get_ordered_ops())
    single = graph.backbone_graph(
        graph.from_keras(network("mobilenet")), catalog.find("mobilenet").preprocessing, SIZE, any_size=True
    )
    assert convolutions == sum("Convolution" in node.get_type_name() for node in single.get_ordered_ops())
    found = outputs_of(model, images, tmp_path)
    said = [probabilities(pooled("mobilenet", images), one.weights) for one in members]
    np.testing.assert_allclose(found[graph.PROBABILITIES], np.mean(said, axis=0), atol=1e-5)


def test_joined_features_stand_side_by_side(widths, tmp_path):
    images, names = photographs(5), ("mobilenet", "mobilenet_v2")
    weights = head_weights(sum(widths.values()))
    found = outputs_of(joined_graph([backbone(name) for name in names], Head(), weights), images, tmp_path)
    features = np.concatenate([pooled(name, images) for name in names], axis=1)
    np.testing.assert_allclose(found[graph.FEATURES], features, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found[graph.PROBABILITIES], probabilities(features, weights), atol=1e-5)
    np.testing.assert_allclose(found[graph.FEATURE_MAP], feature_maps("mobilenet", images), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("names", [("mobilenet",), ("mobilenet", "mobilenet_v2")])
def test_flip_is_the_mean_over_the_image_and_its_mirror_image(widths, tmp_path, names, count):
    images = photographs(count)
    weights = head_weights(sum(widths[name] for name in names))
    found = outputs_of(flip_graph([backbone(name) for name in names], Head(), weights), images, tmp_path)
    features = [
        np.concatenate([pooled(name, seen) for name in names], axis=1) for seen in (images, images[:, :, ::-1].copy())
    ]
    straight, turned = (probabilities(one, weights) for one in features)
    assert np.abs(straight - turned).max() > 1e-3
    np.testing.assert_allclose(found[graph.PROBABILITIES], (straight + turned) / 2, atol=1e-5)
    np.testing.assert_allclose(found[graph.FEATURES], features[0], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found[graph.FEATURE_MAP], feature_maps("mobilenet", images), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("rule", ["stretch", "crop", "pad"])
def test_members_resize_images_each_to_its_own_size(widths, tmp_path, rule):
    images = photographs(2, 90, 61)
    sizes = {"mobilenet": Resize(32, 32, rule), "mobilenet_v2": Resize(64, 64, "stretch", "nearest")}
    members = [member(backbone(name, size), widths[name], 1) for name, size in sizes.items()]
    found = outputs_of(average_graph(members), images, tmp_path)
    said = [
        probabilities(pooled(name, images, size), one.weights)
        for (name, size), one in zip(sizes.items(), members, strict=True)
    ]
    # pixels may be a grey level apart (tests/features/test_graph.py)
    np.testing.assert_allclose(found[graph.PROBABILITIES], np.mean(said, axis=0), atol=0.02)


def test_sure_answers_keep_finite_logits(widths, tmp_path):
    weights = [np.zeros((widths["mobilenet"], CLASSES), np.float32), np.float32([500, 0, 0])]
    found = outputs_of(flip_graph([backbone("mobilenet")], Head(), weights), photographs(1), tmp_path)
    np.testing.assert_allclose(found[graph.PROBABILITIES], [[1, 0, 0]], atol=1e-7)
    assert np.isfinite(found[graph.LOGITS]).all()
