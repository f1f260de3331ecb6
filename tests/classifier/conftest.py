"""A classifier of a few layers, made without Keras, for tests of its files."""

import numpy as np
import openvino as ov
import pytest

from headstart.backbones.catalog import ZERO_TO_ONE
from headstart.classifier import bundle
from headstart.classifier.answering import Answering
from headstart.classifier.bundle import BackboneInfo, Provenance
from headstart.classifier.card import CardFacts, NetworkFacts
from headstart.data.decode import Resize
from headstart.evaluation.metrics import evaluate
from headstart.evaluation.unknown import Detector
from headstart.features import graph
from headstart.recipe import Head

CLASSES = ("crow", "jay | magpie", "no")
SIZE = Resize(16, 20)
HEAD = Head(layers=("dense 6", "dropout 0.2"))
PROVENANCE = Provenance("study", "print", "tiny-lr0.1", "tiny", "random:0", "Apache-2.0", 80, 30, 0.9)
BACKBONE = BackboneInfo("small_cnn", 16, ZERO_TO_ONE, "backbone frozen")


def tiny_graph() -> ov.Model:
    """Return a graph with every output of a classifier: eight features of a pixel, their mean, two dense layers."""
    random, ops = np.random.default_rng(8), ov.opset13
    pixels = ops.parameter([-1, SIZE.height, SIZE.width, 3], np.float32)
    values = ops.relu(ops.matmul(pixels, random.normal(size=(3, 8)).astype(np.float32), False, False))
    backbone = graph.backbone_graph(ov.Model([values], [pixels]), ZERO_TO_ONE, SIZE, any_size=True)
    return graph.add_head(backbone, HEAD, head_weights())


def head_weights() -> list[np.ndarray]:
    random = np.random.default_rng(9)
    return [random.normal(size=shape).astype(np.float32) * 3 for shape in ((8, 6), (6,), (6, 3), (3,))]


def facts(**changes: object) -> CardFacts:
    labels = np.arange(30) % 3
    probabilities = np.eye(3)[np.where(np.arange(30) < 3, (labels + 1) % 3, labels)] * 0.7 + 0.1
    given = {
        "data": "birds",
        "images": 110,
        "training": (40, 20, 60),
        "networks": (NetworkFacts("small_cnn", "Small CNN", "random weights at first", "Apache-2.0"),),
        "head": "average pooling, dense 6, softmax 3",
        "steps": "Backbone frozen.",
        "choice": "It was chosen by 5-fold cross-validation.",
        "test": evaluate(labels, probabilities, CLASSES),
    }
    return CardFacts(**{**given, **changes})


@pytest.fixture(scope="session")
def bird_bundle(tmp_path_factory):
    """The folder of a whole bundle: detector, probes and card. To be copied, not changed."""
    store = np.float16(np.linalg.qr(np.random.default_rng(6).normal(size=(8, 8)))[0][:3])
    return save_birds(
        tmp_path_factory.mktemp("run") / "classifier", Detector("nearest_neighbours", 0.9, {"store": store})
    )


def save_birds(folder, detector=None, **changes):
    options = {"head": HEAD, "backbone": BACKBONE, "facts": facts(), "provenance": PROVENANCE, "precision": "f32"}
    weights = {
        f"head/dense_{place // 2}/{'kernel' if place % 2 == 0 else 'bias'}": w for place, w in enumerate(head_weights())
    }
    given = {**options, "classes": CLASSES, "size": SIZE, "answering": Answering(1.5, detector), **changes}
    bundle.save(folder, tiny_graph(), weights, **given)
    return folder


@pytest.fixture
def birds(bird_bundle, tmp_path):
    """A copy of the bundle that may be changed."""
    folder = tmp_path / "birds"
    folder.mkdir()
    for path in bird_bundle.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder
