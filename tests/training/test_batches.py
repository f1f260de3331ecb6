import dataclasses
import threading

import numpy as np
import pytest

from headstart.backbones.engine import keras_module
from headstart.training.batches import Examples, ahead, in_batches, run, take


def test_batches_hold_all_rows_in_order():
    rows = np.arange(100, 110)
    assert [batch.tolist() for batch in in_batches(rows, 4)] == [[100, 101, 102, 103], [104, 105, 106, 107], [108, 109]]


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_the_next_batch_is_prepared_meanwhile_and_the_order_stays(count):
    batches = in_batches(np.arange(3 * count), 3)
    begun = [threading.Event() for _ in batches]

    def prepare(batch):
        begun[batch[0] // 3].set()
        return batch.sum()

    sums = []
    for number, prepared in enumerate(ahead(batches, prepare)):
        assert number + 1 == count or begun[number + 1].wait(timeout=10)
        assert not any(event.is_set() for event in begun[number + 2 :])
        sums.append(prepared)
    assert sums == [batch.sum() for batch in batches]


def test_an_error_in_the_preparation_reaches_the_caller():
    def prepare(batch):
        if batch[0] == 2:
            raise OSError("the file is gone")
        return batch

    with pytest.raises(OSError, match="the file is gone"):
        list(ahead(in_batches(np.arange(6), 2), prepare))


@pytest.mark.parametrize(("kept", "given"), [(np.uint8, np.uint8), (np.float16, np.float32), (np.float32, np.float32)])
def test_pixels_stay_and_features_become_single_precision(kept, given, tmp_path):
    values = np.arange(12).reshape(6, 2).astype(kept)
    np.save(tmp_path / "values.npy", values)
    taken = take(np.load(tmp_path / "values.npy", mmap_mode="r"), np.array([4, 1]))
    assert type(taken) is np.ndarray
    assert (taken.dtype, taken.tolist()) == (given, [[8, 9], [2, 3]])


@pytest.mark.parametrize("validation", [None, np.array([7, 2])])
def test_features_of_the_used_rows_take_the_place_of_images(validation):
    examples = Examples(np.zeros((9, 4), np.uint8), np.arange(9) % 3, np.array([5, 0, 8]), validation)
    features = np.arange(len(examples.rows))[:, None].astype(np.float32)
    changed = examples.with_features(features)
    assert changed.labels[changed.train].tolist() == [5 % 3, 0, 8 % 3]
    assert changed.images[changed.train, 0].tolist() == [0, 1, 2]
    if validation is None:
        assert changed.validation is None
    else:
        assert changed.labels[changed.validation].tolist() == [7 % 3, 2]
        assert changed.images[changed.validation, 0].tolist() == [3, 4]


@pytest.mark.parametrize("validation", [None, np.array([7, 2])])
def test_images_that_watch_keep_their_features(validation):
    labels, watch = np.arange(9), np.array([1, 6, 3])
    examples = Examples(np.zeros((9, 4), np.uint8), labels, np.array([5, 0, 8]), validation, watch)
    changed = examples.with_features(examples.rows[:, None].astype(np.float32))
    for rows, own in ((examples.train, changed.train), (validation, changed.validation), (watch, changed.watch)):
        assert (rows is None) == (own is None)
        if rows is not None:
            assert changed.labels[own].tolist() == changed.images[own, 0].tolist() == rows.tolist()
    same = dataclasses.replace(examples, validation=watch)
    assert len(same.rows) == 6
    assert same.with_features(np.zeros((6, 2), np.float32)).watch.tolist() == [3, 4, 5]


def test_a_model_runs_over_more_images_than_one_batch():
    keras = keras_module()
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    images = np.random.default_rng(0).normal(size=(150, 3)).astype(np.float32)
    rows = np.random.default_rng(1).permutation(150)[:140]
    kernel, bias = model.get_weights()
    assert run(model, images, rows) == pytest.approx(images[rows] @ kernel + bias, abs=1e-5)
