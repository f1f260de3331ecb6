"""The resize rule in nodes of ONNX gives the very pixels of data.resize."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from headstart.classifier.export.onnx_resize import OPSET, resize_nodes
from headstart.data import decode
from headstart.data.decode import Resize

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

FILTERS = (("bilinear", True), ("bicubic", True), ("nearest", True), ("bilinear", False))
SIDES = (1, 3, 20, 48, 100, 300)
PHOTOGRAPHS = Path(__file__).parents[3].parent / "shared" / "datasets" / "flower_photos"


def session(size):
    nodes = resize_nodes(size, image="image", pixels="pixels")
    info, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.UINT8
    graph = onnx.helper.make_graph(
        nodes.nodes,
        "resize",
        [info("image", kind, ["n", "height", "width", 3])],
        [info("pixels", kind, ["n", size.height, size.width, 3])],
        nodes.constants,
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("rule", ["stretch", "crop", "pad"])
@pytest.mark.parametrize(("interpolation", "antialias"), FILTERS)
@pytest.mark.parametrize("target", [(32, 48), (7, 5)])
def test_every_rule_gives_the_same_pixels(rule, interpolation, antialias, target):
    random, size = np.random.default_rng(0), Resize(*target, rule, interpolation, antialias)
    opened = session(size)
    for height, width in itertools.product(SIDES, repeat=2):
        image = random.integers(0, 256, (height, width, 3), np.uint8)
        [found] = opened.run(None, {"image": image[np.newaxis]})
        np.testing.assert_array_equal(found[0], decode.load(image, size), err_msg=f"{height} x {width}")


def test_several_images_at_once():
    random, size = np.random.default_rng(2), Resize(20, 30, "crop")
    images = random.integers(0, 256, (3, 57, 41, 3), np.uint8)
    [found] = session(size).run(None, {"image": images})
    np.testing.assert_array_equal(found, [decode.load(image, size) for image in images])


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_hard_edges_and_ties(interpolation):
    """Black and white columns: bicubic overshoots, and sums lie exactly between two grey levels."""
    size = Resize(224, 224, "stretch", interpolation)
    opened = session(size)
    for height, width in ((64, 64), (192, 240), (448, 112), (213, 320), (1200, 90)):
        image = np.zeros((height, width, 3), np.uint8)
        image[:, ::2], image[::3, :, 1], image[:, :, 2] = 255, 1, np.arange(width) % 256
        [found] = opened.run(None, {"image": image[np.newaxis]})
        np.testing.assert_array_equal(found[0], decode.load(image, size), err_msg=f"{height} x {width}")


@pytest.mark.slow
def test_an_image_of_twelve_million_pixels():
    image, size = np.random.default_rng(3).integers(0, 256, (3000, 4000, 3), np.uint8), Resize(224, 224)
    [found] = session(size).run(None, {"image": image[np.newaxis]})
    np.testing.assert_array_equal(found[0], decode.load(image, size))


@pytest.mark.realdata
@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason=f"the photographs are not there: {PHOTOGRAPHS}")
@pytest.mark.parametrize("rule", ["stretch", "crop", "pad"])
def test_photographs(rule):
    size = Resize(224, 224, rule)
    opened = session(size)
    for path in sorted(PHOTOGRAPHS.glob("*/*.jpg"))[::180]:
        image = decode.pixels(path.read_bytes())
        [found] = opened.run(None, {"image": image[np.newaxis]})
        np.testing.assert_array_equal(found[0], decode.load(image, size), err_msg=path.name)
