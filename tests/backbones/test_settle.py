"""Random frozen networks: features at a living scale, the same in every process, and no other function."""

import keras
import numpy as np

from headstart.backbones import architectures, catalog

MOBILENET = catalog.find("mobilenet")


def settled(seed: int) -> keras.Model:
    model = architectures.build(MOBILENET, image_size=32, seed=seed)
    architectures.settle_normalization(model, MOBILENET.preprocessing, seed=seed)
    return model


def test_features_live_and_depend_on_the_seed_alone():
    images = MOBILENET.preprocessing.apply(np.random.default_rng(1).integers(0, 256, (8, 32, 32, 3), np.uint8))
    first, again, other = (settled(seed).predict(images, verbose=0) for seed in (5, 5, 6))
    assert 0.01 < first.std() < 100
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_only_the_variances_change_and_the_layers_are_as_before():
    plain, model = architectures.build(MOBILENET, image_size=32, seed=5), settled(5)
    for before, after in zip(plain.variables, model.variables, strict=True):
        if before.path.endswith("moving_variance"):
            assert np.unique(np.asarray(after.value)).size == 1
        else:
            np.testing.assert_array_equal(np.asarray(before.value), np.asarray(after.value))
    assert not any("call" in vars(layer) for layer in model.layers)
