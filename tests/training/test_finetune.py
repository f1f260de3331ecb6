import dataclasses
import io
import json
from contextlib import contextmanager

import numpy as np
import pytest

from headstart.backbones.catalog import CAFFE, MINUS_ONE_TO_ONE
from headstart.backbones.engine import keras_module
from headstart.progress import Progress
from headstart.recipe import Head, Optimizer, Schedule
from headstart.training.finetune import FineTuner
from headstart.training.heads import batch_order, forward, initial_weights, penalty, softmax
from headstart.training.tally import measure

SIDE, CLASSES, IMAGES = 8, 4, 150


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (IMAGES, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def labels(pixels):
    """The brightest quarter of the picture, which a small network can learn."""
    quarters = pixels.reshape(IMAGES, 2, 4, 2, 4, 3).mean(axis=(2, 4, 5)).reshape(IMAGES, 4)
    return quarters.argmax(axis=1)


def tiny_network():
    """Two convolutions with batch normalisation, the same weights each time."""
    keras = keras_module()
    inputs = values = keras.Input((SIDE, SIDE, 3))
    for number, filters in enumerate((6, 8)):
        glorot = keras.initializers.GlorotUniform(seed=number)
        values = keras.layers.Conv2D(filters, 3, strides=2, padding="same", kernel_initializer=glorot)(values)
        values = keras.layers.BatchNormalization(momentum=0.9)(values)
        values = keras.layers.ReLU()(values)
    return keras.Model(inputs, values)


@pytest.fixture(scope="module")
def tuner():
    head = Head(dense=(6,), l2=0.01, dropout=0.3)
    return FineTuner(tiny_network(), MINUS_ONE_TO_ONE, head, CLASSES)


def tail_job(make_job, **changes):
    return make_job(**({"head": Head(dense=(6,), l2=0.01, dropout=0.3), "epochs": 4} | changes))


class KerasNetwork:
    """Network and head as one plain Keras model, trained by ``fit``."""

    def __init__(self, job, optimizer):
        keras = self.keras = keras_module()
        network, head = tiny_network(), job.head
        values = keras.layers.GlobalAveragePooling2D()(network.output)
        for units in (*head.dense, None):
            regularizer = keras.regularizers.L2(head.l2)
            options = {"activation": "relu" if units else "softmax", "kernel_regularizer": regularizer}
            values = keras.layers.Dense(units or CLASSES, **options)(values)
        self.model = keras.Model(network.input, values)
        head_weights = initial_weights(head, inputs=8, classes=CLASSES, seed=job.init_seed)
        self.model.set_weights([*network.get_weights(), *head_weights])
        metrics = ["accuracy", keras.metrics.Precision(name="precision"), keras.metrics.Recall(name="recall")]
        metrics.append(keras.metrics.TopKCategoricalAccuracy(k=3, name="top_k"))
        self.model.compile(optimizer, "categorical_crossentropy", metrics=metrics)

    def fit(self, inputs, labels, job):
        one_hot = np.eye(CLASSES)[labels]
        history = []
        for epoch in range(1, job.epochs + 1):
            rows = job.train[batch_order(job.order_seed, epoch, len(job.train))]
            options = {"batch_size": job.batch_size, "shuffle": False, "verbose": 0}
            validation = (inputs[job.validation], one_hot[job.validation])
            logs = self.model.fit(inputs[rows], one_hot[rows], validation_data=validation, **options).history
            history.append({name: values[0] for name, values in logs.items()})
        return history


def test_fine_tuning_equals_keras_fit(pixels, labels, make_job):
    head = Head(dense=(6,), l2=0.01)
    sgd = Optimizer("sgd", 0.05, momentum=0.9, nesterov=True)
    job = make_job(head=head, optimizer=sgd, schedule=Schedule("inverse_time", factor=0.2), epochs=2)
    tuner = FineTuner(tiny_network(), MINUS_ONE_TO_ONE, head, CLASSES)
    fit = tuner.fit(pixels, labels, job, monitor="loss")
    keras = keras_module()
    rate = keras.optimizers.schedules.InverseTimeDecay(0.05, decay_steps=1, decay_rate=0.2)
    plain = KerasNetwork(job, keras.optimizers.SGD(rate, momentum=0.9, nesterov=True))
    history = plain.fit(MINUS_ONE_TO_ONE.apply(pixels), labels, job)
    for row, logs in zip(fit.history, history, strict=True):
        for name in ("loss", "accuracy", "precision", "recall", "top_k"):
            assert getattr(row.train, name) == pytest.approx(logs[name], abs=1e-5), name
            assert getattr(row.validation, name) == pytest.approx(logs[f"val_{name}"], abs=1e-5), name
    last = tuner.fit(pixels, labels, dataclasses.replace(job, validation=None), monitor="loss")
    everything = np.arange(IMAGES)
    probabilities = softmax(tuner.logits(pixels, everything, last))
    assert probabilities == pytest.approx(plain.model.predict_on_batch(MINUS_ONE_TO_ONE.apply(pixels)), abs=1e-5)
    assert history[1]["loss"] < history[0]["loss"]


def bits(fit):
    arrays = [*fit.weights, *fit.backbone_weights, fit.validation_logits]
    return [array.tobytes() for array in arrays], fit.history, fit.best_epoch, fit.best, fit.last


def test_same_job_gives_the_same_bits_whatever_ran_before(tuner, pixels, labels, make_job):
    job = tail_job(make_job)
    first = tuner.fit(pixels, labels, job, monitor="loss")
    other = tuner.fit(pixels, labels, tail_job(make_job, dropout_seed=9), monitor="loss")
    tuner.fit(pixels, labels, tail_job(make_job, optimizer=Optimizer("sgd", 0.1, momentum=0.9)), monitor="loss")
    assert bits(tuner.fit(pixels, labels, job, monitor="loss")) == bits(first)
    assert other.history[0].train.loss != first.history[0].train.loss  # other units are dropped


class Memory:
    """A checkpoint that stays in memory."""

    def __init__(self):
        self.content = None

    def load(self):
        return self.content

    def save(self, content):
        self.content = content


class Listener(Progress):
    """Counts images, and raises when ``limit`` have been passed."""

    def __init__(self, limit=10**9):
        self.limit, self.done, self.total = limit, 0, 0

    @contextmanager
    def track(self, name, *, total, unit):
        self.total = total

        def advance(count):
            self.done += count
            if self.done > self.limit:
                raise KeyboardInterrupt

        yield advance


@pytest.mark.parametrize("schedule", [Schedule(), Schedule("cosine")], ids=["constant", "cosine"])
def test_a_killed_training_goes_on_and_ends_with_the_same_bits(tuner, pixels, labels, make_job, schedule):
    job, checkpoint = tail_job(make_job, schedule=schedule), Memory()
    whole = tuner.fit(pixels, labels, job, monitor="loss")
    with pytest.raises(KeyboardInterrupt):
        after_two = Listener(2 * len(job.train))
        tuner.fit(pixels, labels, job, monitor="loss", checkpoint=checkpoint, progress=after_two)
    with np.load(io.BytesIO(checkpoint.content), allow_pickle=False) as arrays:
        assert len(json.loads(arrays["json"].tobytes())["history"]) == 2
    tuner.fit(pixels, labels, tail_job(make_job, order_seed=77), monitor="loss")
    rest = Listener()
    assert bits(tuner.fit(pixels, labels, job, monitor="loss", checkpoint=checkpoint, progress=rest)) == bits(whole)
    assert rest.done == rest.total == 4 * len(job.train)
    assert bits(tuner.fit(pixels, labels, job, monitor="loss", checkpoint=checkpoint)) == bits(whole)


def test_a_checkpoint_of_another_job_is_passed_over(tuner, pixels, labels, make_job):
    checkpoint = Memory()
    tuner.fit(pixels, labels, tail_job(make_job, key="other", epochs=1), monitor="loss", checkpoint=checkpoint)
    job = tail_job(make_job, epochs=2)
    expected = tuner.fit(pixels, labels, job, monitor="loss")
    assert bits(tuner.fit(pixels, labels, job, monitor="loss", checkpoint=checkpoint)) == bits(expected)


def test_nothing_is_traced_again_for_another_rate_or_fold(pixels, labels, make_job):
    keras, traced = keras_module(), []
    if keras.backend.backend() == "torch":
        pytest.skip("PyTorch runs eagerly: nothing is traced")

    class Watched(keras.layers.Layer):
        def call(self, inputs):
            traced.append(inputs.shape)
            return inputs

    network = tiny_network()
    watched = keras.Model(network.input, Watched()(network.output))
    tuner = FineTuner(watched, MINUS_ONE_TO_ONE, Head(), CLASSES)
    counts = []
    for number, rate in enumerate((0.01, 0.02, 0.05)):
        tuner.fit(pixels, labels, make_job(number, optimizer=Optimizer("adam", rate), epochs=2), monitor="loss")
        counts.append(len(traced))
    assert counts[0] > 0
    assert counts == [counts[0]] * 3


def test_best_epoch_weights_and_scores(tuner, pixels, labels, make_job):
    job = tail_job(make_job, epochs=5, optimizer=Optimizer("adam", 0.1))
    fit = tuner.fit(pixels, labels, job, monitor="accuracy")
    accuracies = [row.validation.accuracy for row in fit.history]
    assert fit.best_epoch == accuracies.index(max(accuracies)) + 1
    assert np.array_equal(tuner.logits(pixels, job.validation, fit), fit.validation_logits)
    best = fit.history[fit.best_epoch - 1].validation
    assert fit.best.validation.accuracy == best.accuracy
    assert fit.best.validation.loss + penalty(fit.weights, 0.01) == pytest.approx(best.loss, rel=1e-5)
    assert fit.best.train.loss == pytest.approx(
        measure(tuner.logits(pixels, job.train, fit), labels[job.train]).loss, rel=1e-6
    )
    assert (fit.best.epoch, fit.last.epoch) == (fit.best_epoch, 5)
    assert [array.shape for array in fit.weights] == [(8, 6), (6,), (6, CLASSES), (CLASSES,)]
    assert [array.shape for array in fit.backbone_weights] == [w.shape for w in tiny_network().get_weights()]


def test_logits_are_head_on_network_on_preprocessed_pixels(pixels, labels, make_job):
    network = tiny_network()
    tuner = FineTuner(network, CAFFE, Head(), CLASSES)
    fit = tuner.fit(pixels, labels, make_job(epochs=1), monitor="loss")
    logits = tuner.logits(pixels, np.arange(70), fit)
    network.set_weights(list(fit.backbone_weights))
    features = network.predict_on_batch(CAFFE.apply(pixels[:70])).mean(axis=(1, 2))
    assert logits == pytest.approx(forward(fit.weights, features), rel=1e-4, abs=1e-4)


def test_patience_stops_and_validation_is_optional(tuner, pixels, labels, make_job):
    impatient = tail_job(make_job, epochs=20, patience=1, optimizer=Optimizer("adam", 0.3))
    fit = tuner.fit(pixels, labels, impatient, monitor="loss")
    losses = [row.validation.loss for row in fit.history]
    assert len(fit.history) < 20
    assert losses[-1] >= losses[-2]
    alone = tuner.fit(pixels, labels, tail_job(make_job, validation=None, epochs=2), monitor="loss")
    assert (alone.best_epoch, alone.validation_logits, alone.best.validation) == (2, None, None)


def test_divergence_is_written_down_and_the_weights_stay_finite(tuner, pixels, labels, make_job):
    job = tail_job(make_job, optimizer=Optimizer("sgd", 1e20))
    fit = tuner.fit(pixels, labels, job, monitor="accuracy", checkpoint=Memory())
    assert np.isnan(fit.history[-1].train.loss)
    assert all(np.isfinite(array).all() for array in (*fit.weights, *fit.backbone_weights))


def test_pixels_may_be_memory_mapped_and_classes_two(pixels, labels, make_job, tmp_path):
    np.save(tmp_path / "pixels.npy", pixels)
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    tuner = FineTuner(tiny_network(), MINUS_ONE_TO_ONE, Head(), 2)
    job = make_job(epochs=1)
    fit = tuner.fit(mapped, labels % 2, job, monitor="loss")
    assert fit.history[0].train.top_k is None
    assert bits(tuner.fit(pixels, labels % 2, job, monitor="loss")) == bits(fit)
