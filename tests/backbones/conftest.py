"""Arrays in the form of torchvision's AlexNet, random, at a scale that keeps the signal alive."""

import numpy as np
import pytest

SHAPES = {
    "features.0": (64, 3, 11, 11),
    "features.3": (192, 64, 5, 5),
    "features.6": (384, 192, 3, 3),
    "features.8": (256, 384, 3, 3),
    "features.10": (256, 256, 3, 3),
    "classifier.1": (4096, 9216),
}


@pytest.fixture(scope="session")
def torch_arrays():
    random = np.random.default_rng(0)
    arrays = {}
    for name, shape in SHAPES.items():
        deviation = np.float32((2 / np.prod(shape[1:])) ** 0.5)
        arrays[f"{name}.weight"] = random.standard_normal(shape, np.float32) * deviation
        arrays[f"{name}.bias"] = random.standard_normal(shape[0], np.float32) * np.float32(0.1)
    # the later dense layers are not read, whatever they hold
    return arrays | {"classifier.4.weight": np.zeros((2, 2), np.float32), "classifier.6.bias": np.zeros(3, np.float32)}
