"""Classifiers of random networks, small enough to be exported in seconds, and pictures for them."""

import dataclasses
import functools
from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image

from headstart import storage
from headstart.backbones import architectures, catalog
from headstart.classifier import bundle
from headstart.classifier.answering import Answering
from headstart.classifier.bundle import BackboneInfo, Provenance, read_info
from headstart.classifier.info import sealed
from headstart.data.decode import Resize
from headstart.features import graph
from headstart.recipe import Head
from headstart.training.heads import layer_sizes

CLASSES = ("amber", 'jay | "magpie" <é>', "no")
PROVENANCE = Provenance("study", "print", "tiny-lr0.1", "tiny", "random:0", "Apache-2.0", 80, 30, 0.9)
COLOURS = {"amber": (250, 190, 10), "no": (30, 40, 200)}


@dataclass(frozen=True)
class Kind:
    """A classifier to be made: backbone and its side, head, resize rule and colours."""

    backbone: str = "small_cnn"
    side: int = 32
    head: Head = field(default_factory=Head)
    resize: tuple = ("stretch", "bilinear", True)
    colour: str = "rgb"
    temperature: float = 1.7


def make_bundle(folder, kind):
    """Save a classifier whose weights are all drawn by a seed, those of the backbone as if it had been tuned."""
    row = catalog.find(kind.backbone)
    preprocessing = row.input_preprocessing(colour=kind.colour)
    random = np.random.default_rng(7)
    network = architectures.build(row, image_size=kind.side, seed=4, channels=preprocessing.channels)
    architectures.settle_normalization(network, preprocessing, seed=4)
    for variable in network.trainable_variables:
        values = np.asarray(variable.value)
        variable.assign(values * random.uniform(0.8, 1.2, values.shape) + random.normal(size=values.shape) * 0.003)
    arrays = {f"backbone/{variable.path}": np.asarray(variable.value) for variable in network.variables}
    size = Resize(kind.side, kind.side, *kind.resize)
    whole = graph.backbone_graph(
        graph.from_keras(network), preprocessing, size, any_size=True, pooling=kind.head.pooling
    )
    weights = head_weights(kind.head, whole.output(graph.FEATURES).get_partial_shape()[1].get_length(), random)
    for place, array in enumerate(weights):
        arrays[f"head/dense_{place // 2}/{('kernel', 'bias')[place % 2]}"] = array
    bundle.save(
        folder,
        graph.add_head(whole, kind.head, weights),
        arrays,
        classes=CLASSES,
        size=size,
        precision="f32",
        provenance=PROVENANCE,
        answering=Answering(kind.temperature),
        head=kind.head,
        backbone=BackboneInfo(kind.backbone, kind.side, preprocessing, "last 2"),
    )
    return folder


def head_weights(head, inputs, random):
    """Return kernels and biases that give answers of all sorts, neither all alike nor all sure."""
    found = []
    for rows, units in layer_sizes(head, inputs, len(CLASSES)):
        found += [random.normal(size=(rows, units)) * 3 / np.sqrt(rows), random.normal(size=units) * 0.1]
    return [array.astype(np.float32) for array in found]


@pytest.fixture(scope="session")
def classifier(tmp_path_factory):
    """Return the folder of a classifier; the arguments are fields of ``Kind``. Each is made once; not to be changed."""

    @functools.cache
    def make(**fields):
        return make_bundle(tmp_path_factory.mktemp("run") / "classifier", Kind(**fields))

    return make


def picture(random, height, width):
    """Return a picture with smooth parts, edges and noise."""
    coarse = random.integers(0, 256, (max(1, height // 9), max(1, width // 9), 3), np.uint8)
    values = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return np.clip(values + random.integers(-20, 21, values.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    """A folder of class folders, 50 pictures of many sizes and one file that is none."""
    folder, random = tmp_path_factory.mktemp("photographs"), np.random.default_rng(5)
    for name, colour in COLOURS.items():
        (folder / name).mkdir()
        for number in range(25):
            mixed = picture(random, *random.integers(20, 120, 2).tolist()) * 0.4 + np.array(colour) * 0.6
            Image.fromarray(mixed.astype(np.uint8)).save(folder / name / f"{number:02}.png")
    (folder / "no" / "notes.jpg").write_text("no picture")
    return folder


@pytest.fixture
def without_head(classifier, tmp_path):
    """Return the folder of a classifier that does not say how its network is built, as of several networks."""
    folder = tmp_path / "several"
    folder.mkdir()
    for path in classifier().iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    info = dataclasses.replace(read_info(folder), head=None, backbone=None)
    storage.write_json(folder / "classifier.json", sealed(info))
    return folder
