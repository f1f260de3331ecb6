"""The graph's own resize and preprocessing against Pillow and NumPy."""

import subprocess
import sys

import numpy as np
import openvino as ov
import pytest

from headstart.backbones.catalog import Preprocessing
from headstart.data import decode
from headstart.data.decode import Resize
from headstart.features import graph

SIZES = [(240, 192), (100, 333), (333, 100), (48, 64), (1200, 17), (33, 33)]


def resize_in_graph(image: np.ndarray, size: Resize) -> np.ndarray:
    parameter = ov.opset13.parameter([-1, -1, -1, 3], np.uint8, name="image")
    model = ov.Model([graph.resize_node(parameter, size)], [parameter])
    return ov.Core().compile_model(model, "CPU")(image[None])[0][0]


@pytest.mark.parametrize("rule", ["stretch", "crop", "pad"])
@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("target", [(48, 48), (40, 64)])
def test_resize_is_within_one_grey_level_of_pillow(rule, height, width, target):
    image = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    size = Resize(*target, rule)
    here, pillow = resize_in_graph(image, size), decode.load(image, size)
    assert here.shape == pillow.shape == (*target, 3)
    assert here.dtype == np.uint8
    assert np.abs(here.astype(int) - pillow).max() <= 1


def test_preprocessing_equals_numpy():
    preprocessing = Preprocessing("bgr", (0.5, 1.0, 2.0), (-1.0, 3.0, 0.25))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), np.uint8)
    parameter = ov.opset13.parameter([-1, -1, -1, 3], np.uint8, name="image")
    model = ov.Model([graph.preprocess_node(parameter, preprocessing)], [parameter])
    here = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(pixels)[0]
    np.testing.assert_allclose(here, preprocessing.apply(pixels), rtol=1e-6)


def test_the_converter_reports_to_nobody():
    code = """
from headstart.features import graph
graph.openvino_module()
from openvino.tools.ovc import telemetry_utils
print(telemetry_utils.tm.__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "openvino.tools.ovc.telemetry_stub"
