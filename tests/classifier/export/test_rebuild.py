"""The network in Keras again says what the bundle's graph says."""

import dataclasses

import numpy as np
import pytest

from headstart.backbones.engine import keras_module
from headstart.classifier import probe_file
from headstart.classifier.bundle import open_bundle
from headstart.classifier.export import rebuild
from headstart.data import decode
from headstart.errors import ClassifierError
from headstart.evaluation.calibration import calibrated
from headstart.features import graph
from headstart.features.trunk import OpenVinoTrunk
from headstart.recipe import Head

DEEP = Head("flatten", ("dense 6 tanh", "dropout 0.3", "dense 5"))

KINDS = {
    "softmax": {},
    "logistic": {"head": Head(output="logistic")},
    "sigmoid": {"head": Head("max", output="sigmoid")},
    "dense on flatten": {"head": DEEP},
    "linear": {"head": Head(layers=("dense 4 linear",), output="sigmoid")},
    "grey": {"colour": "grey", "head": Head("max")},
    "mobilenet": {"backbone": "mobilenet", "head": DEEP},
    "dropout inside": {"backbone": "flower_cnn"},
}
HEAVY = {
    "bgr": {"backbone": "vgg16"},
    "dense end, adaptive pooling": {"backbone": "alexnet", "side": 80},
    "adaptive pooling of nothing": {"backbone": "alexnet", "side": 224},
    "residual": {"backbone": "resnet50"},
    "scaling inside": {"backbone": "efficientnet_b0"},
    "layer scale": {"backbone": "convnext_tiny"},
    "squeeze and excitation": {"backbone": "mobilenet_v3_small"},
}


def both(folder):
    """Return logits and calibrated probabilities of the graph and of Keras for the same pictures."""
    bundle = open_bundle(folder)
    size = bundle.info.size
    pixels = np.stack([decode.load(image, size) for image in probe_file.make(size)])
    logits = OpenVinoTrunk(bundle.graph(), precision="f32", output=graph.LOGITS).run(pixels)
    found = rebuild.keras_model(bundle).predict_on_batch(pixels)
    return logits, calibrated(logits, bundle.info.temperature), found


@pytest.mark.parametrize(
    "kind", [*KINDS, *(pytest.param(name, marks=pytest.mark.slow) for name in HEAVY)], ids=lambda name: name
)
def test_keras_says_what_the_graph_says(classifier, kind):
    logits, probabilities, found = both(classifier(**{**KINDS, **HEAVY}[kind]))
    assert set(found) == {"logits", "probabilities"}
    # two hundred random layers: Keras alone differs by 7e-4 in the logits between batches of 1 and of 9
    tolerance = 5e-4 if kind == "scaling inside" else 1e-5
    np.testing.assert_allclose(found["probabilities"], probabilities, rtol=0, atol=tolerance)
    np.testing.assert_allclose(found["logits"], logits, rtol=10 * tolerance, atol=10 * tolerance)
    assert probabilities.std(axis=0).max() > 0.01, "the answers differ, so that agreement means something"


def test_sigmoids_far_out_are_clipped_as_in_the_graph(classifier, monkeypatch):
    bundle = open_bundle(classifier(**KINDS["sigmoid"]))
    weights = bundle.weights()
    far = {**weights, "head/dense_0/bias": np.array([80, -80, 3], np.float32)}
    monkeypatch.setattr(type(bundle), "weights", lambda self: far)
    found = rebuild.keras_model(bundle).predict_on_batch(np.zeros((1, 32, 32, 3), np.uint8))["logits"][0]
    np.testing.assert_allclose(found[:2], np.log([1 - 1e-7, 1e-7]), rtol=1e-5, atol=1e-6)


def test_the_model_is_made_of_keras_own_layers(classifier):
    model = rebuild.keras_model(open_bundle(classifier(**KINDS["grey"])))
    layers = [*model.layers, *model.get_layer("small_cnn").layers]
    assert all(type(layer).__module__.startswith("keras.") for layer in layers)
    assert not any(isinstance(layer, keras_module().layers.Lambda) for layer in layers)
    assert str(model.input.dtype) == "uint8" and model.input.shape == (None, 32, 32, 3)


def test_a_bundle_that_does_not_say_how_it_is_built_is_refused(classifier):
    bundle = open_bundle(classifier())
    older = dataclasses.replace(bundle, info=dataclasses.replace(bundle.info, head=None))
    with pytest.raises(ClassifierError, match=r"does not say how to build its network in Keras.*openvino and zip"):
        rebuild.keras_model(older)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda weights: weights.pop("head/dense_0/bias"), "holds no weights head/dense_0/bias"),
        (
            lambda weights: weights.update({"head/dense_0/kernel": np.zeros((2, 3))}),
            r"shape \(2, 3\), not \(128, 3\)",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused(classifier, monkeypatch, change, words):
    bundle = open_bundle(classifier())
    weights = bundle.weights()
    change(weights)
    monkeypatch.setattr(type(bundle), "weights", lambda self: weights)
    with pytest.raises(ClassifierError, match=words):
        rebuild.keras_model(bundle)
