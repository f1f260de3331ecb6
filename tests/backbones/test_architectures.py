"""A battery over every row of the catalogue, at its smallest size, with random weights."""

import hashlib
import random
import subprocess
import sys

import numpy as np
import pytest

from headstart.backbones.architectures import build
from headstart.backbones.catalog import CATALOG
from headstart.errors import UsageError

ROWS = list(CATALOG.values())


def digest(model):
    return hashlib.sha256(b"".join(array.tobytes() for array in model.get_weights())).hexdigest()


@pytest.fixture(scope="module", params=ROWS, ids=lambda row: row.name)
def built(request):
    return request.param, build(request.param, image_size=request.param.minimum_size, seed=1)


def test_last_feature_map(built):
    row, model = built
    pixels = np.random.default_rng(0).integers(0, 256, (2, row.minimum_size, row.minimum_size, 3), np.uint8)
    features = model.predict_on_batch(row.preprocessing.apply(pixels))
    assert features.shape[0] == 2 and features.shape[3] == row.channels and features.ndim == 4
    assert features.dtype == np.float32 and np.isfinite(features).all()
    assert features.shape == (2, *model.output_shape[1:])


def test_parameters_and_layers_are_those_of_the_row(built):
    row, model = built
    assert model.count_params() == row.parameters
    assert len(build(row, image_size=row.default_size).layers) == row.layers


def test_random_weights_are_a_function_of_the_seed(built):
    row, model = built
    state = random.getstate()
    assert digest(build(row, image_size=row.minimum_size, seed=1)) == digest(model)
    assert random.getstate() == state
    assert digest(build(row, image_size=row.minimum_size, seed=2)) != digest(model)


def test_random_weights_do_not_depend_on_the_image_size(built):
    row, model = built
    assert digest(build(row, image_size=row.minimum_size + 16, seed=1)) == digest(model)


def test_without_a_seed_random_weights_differ():
    row = CATALOG["small_cnn"]
    assert digest(build(row, image_size=8)) != digest(build(row, image_size=8))


def test_another_process_draws_the_same_bits():
    code = (
        "import hashlib; from headstart.backbones import architectures, catalog; "
        "model = architectures.build(catalog.find('small_cnn'), image_size=8, seed=7); "
        "print(hashlib.sha256(b''.join(a.tobytes() for a in model.get_weights())).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(build(CATALOG["small_cnn"], image_size=8, seed=7))


def test_too_small_an_image_is_refused():
    with pytest.raises(UsageError, match=r"mobilenet needs images of at least 32 pixels\. Received: 31"):
        build(CATALOG["mobilenet"], image_size=31)


@pytest.mark.parametrize(("size", "side"), [(8, 4), (15, 8), (16, 4), (32, 4), (64, 4), (100, 7), (224, 14)])
def test_the_small_cnn_halves_down_to_four_pixels_but_four_times_at_most(size, side):
    assert build(CATALOG["small_cnn"], image_size=size).output_shape == (None, side, side, 128)


@pytest.mark.slow
def test_the_small_cnn_learns_the_digits():
    from sklearn.datasets import load_digits

    from headstart.backbones.engine import keras_module

    keras, digits, row = keras_module(), load_digits(), CATALOG["small_cnn"]
    grey = np.round(digits.images * 255 / 16).astype(np.uint8)
    inputs, labels = row.preprocessing.apply(np.repeat(grey[..., None], 3, axis=-1)), digits.target
    features = build(row, image_size=8, seed=0)
    pooled = keras.layers.GlobalAveragePooling2D()(features.output)
    output = keras.layers.Dense(10, activation="softmax", kernel_initializer=keras.initializers.GlorotUniform(seed=0))
    model = keras.Model(features.input, output(pooled))
    model.compile(keras.optimizers.Adam(3e-3), loss="sparse_categorical_crossentropy")
    order = np.random.default_rng(0).permutation(len(labels))
    train, test = order[:1400], order[1400:]
    model.fit(inputs[train], labels[train], batch_size=32, epochs=8, shuffle=False, verbose=0)
    accuracy = np.mean(model.predict(inputs[test], verbose=0).argmax(axis=1) == labels[test])
    assert accuracy >= 0.97
