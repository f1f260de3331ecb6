import dataclasses
import math
from contextlib import contextmanager

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, log_loss, roc_auc_score
from sklearn.utils.class_weight import compute_class_weight

from headstart.backbones.engine import keras_module
from headstart.evaluation.choosing import ACCURACY, LOSS, Measure
from headstart.progress import Progress
from headstart.recipe import Head, Optimizer, Phase, Schedule
from headstart.training import bank
from headstart.training.bank import train_bank
from headstart.training.heads import batch_order, forward, initial_weights, penalty, softmax
from headstart.training.tally import measure

ADAM = Optimizer("adam", 0.01)
SGD = Optimizer("sgd", 0.05)


def train(sample, jobs, **options):
    return train_bank(sample.features, sample.labels, jobs, classes=sample.classes, **options)


class KerasHead:
    """The head of a job as a plain Keras model, trained on rows in the job's order. Eager: compiling takes longer."""

    def __init__(self, job, sample, *, rate=None, metrics=False):
        keras = self.keras = keras_module()
        self.job, self.sample = job, sample
        self.sparse = job.head.output == "sigmoid"
        layers = [keras.Input((sample.features.shape[1],))]
        *hidden, last = job.head.dense_layers(sample.classes)
        for layer in hidden:
            layers.append(keras.layers.Dense(layer.units, layer.activation, kernel_regularizer=self.l2(layer.l2)))
        layers.append(keras.layers.Dense(last.units, job.head.output, kernel_regularizer=self.l2(last.l2)))
        # On TensorFlow, the loss would find the values before the activation and take their softmax instead.
        layers += [keras.layers.Rescaling(1.0)] if self.sparse else []
        self.model = keras.Sequential(layers)
        shape = {"inputs": sample.features.shape[1], "classes": sample.classes}
        self.model.set_weights(initial_weights(job.head, seed=job.init_seed, **shape))
        measured = [
            keras.metrics.CategoricalAccuracy(name="accuracy"),
            keras.metrics.Precision(name="precision"),
            keras.metrics.Recall(name="recall"),
            keras.metrics.TopKCategoricalAccuracy(k=3, name="top_k"),
        ]
        losses, smoothing = keras.losses, job.settings.label_smoothing
        loss = losses.CategoricalCrossentropy(label_smoothing=smoothing)
        self.model.compile(
            self.optimizer(rate),
            losses.SparseCategoricalCrossentropy() if self.sparse else loss,
            metrics=measured if metrics else [],
            run_eagerly=True,
        )

    def l2(self, factor):
        return self.keras.regularizers.L2(factor) if factor else None

    def optimizer(self, rate):
        settings, optimizers = self.job.optimizer, self.keras.optimizers
        rate = settings.learning_rate if rate is None else rate
        if settings.name == "adam":
            return optimizers.Adam(rate)
        if settings.name == "adamw":
            return optimizers.AdamW(rate, weight_decay=settings.weight_decay)
        if settings.name == "rmsprop":
            return optimizers.RMSprop(rate, rho=settings.rho, momentum=settings.momentum)
        return optimizers.SGD(rate, momentum=settings.momentum, nesterov=settings.nesterov)

    def data(self, rows):
        labels = self.sample.labels[rows]
        return self.sample.features[rows], labels if self.sparse else np.eye(self.sample.classes)[labels]

    def balance(self):
        """Return Keras' class weights, by the formula of scikit-learn."""
        labels, balanced = self.sample.labels[self.job.train], self.job.settings.class_weights == "balanced"
        found = np.unique(labels)
        weights = compute_class_weight("balanced", classes=found, y=labels)
        return dict(zip(found.tolist(), weights.tolist(), strict=True)) if balanced else None

    def rows(self, epoch):
        return self.job.train[batch_order(self.job.order_seed, epoch, len(self.job.train))]

    def run_epoch(self, epoch):
        """Train in single steps, which is quicker than ``fit``; return what Keras measures on the validation rows."""
        rows, size = self.rows(epoch), self.job.batch_size
        for start in range(0, len(rows), size):
            self.model.train_on_batch(*self.data(rows[start : start + size]), class_weight=self.balance())
        return {"val_loss": self.model.test_on_batch(*self.data(self.job.validation), return_dict=True)["loss"]}

    def fit_epoch(self, epoch):
        """Train with ``fit``; return the metrics of both parts."""
        validation = self.data(self.job.validation)
        options = {"batch_size": self.job.batch_size, "shuffle": False, "verbose": 0, "validation_data": validation}
        history = self.model.fit(*self.data(self.rows(epoch)), **options).history
        return {name: values[0] for name, values in history.items()}

    def probabilities(self):
        outputs = self.keras.ops.convert_to_numpy(self.model(self.sample.features))
        outputs = np.clip(outputs, 1e-7, 1 - 1e-7) if self.sparse else outputs
        return outputs / outputs.sum(axis=1, keepdims=True)


def assert_equal_to_keras(fit, keras_head, keras_history):
    """Compare the probabilities of all images, and every metric that Keras reports."""
    assert softmax(forward(keras_head.job.head, fit.weights, keras_head.sample.features)) == pytest.approx(
        keras_head.probabilities(), abs=1e-4
    )
    for row, logs in zip(fit.history, keras_history, strict=True):
        for name, value in logs.items():
            part = row.validation if name.startswith("val_") else row.train
            assert getattr(part, name.removeprefix("val_")) == pytest.approx(value, abs=1e-4), name


def at(rate, **rule):
    return Optimizer(rule.pop("name", "adam"), rate, **rule)


# The first two share a fold and are computed side by side.
HEADS = [
    (0, Head(), at(0.01)),
    (0, Head(), at(0.1)),
    (1, Head(), at(0.05, name="sgd", momentum=0.9)),
    (1, Head(), at(0.05, name="sgd", momentum=0.9, nesterov=True)),
    (2, Head(layers=("dense 9 l2 0.02",), l2=0.01), at(0.01)),
    (2, Head(layers=("dense 8 l2 0.03", "dense 5 tanh"), l2=0.01), at(0.02, name="sgd", momentum=0.9)),
    (2, Head(layers=("dense 8 linear", "dense 5 tanh l2 0.1")), at(0.01, name="adamw", weight_decay=0.1)),
    (3, Head(), at(0.01, name="rmsprop")),
    (3, Head(layers=("dense 7 tanh",)), at(0.005, name="rmsprop", momentum=0.8, rho=0.7)),
    (3, Head(output="sigmoid"), at(0.02)),
    (4, Head(layers=("dense 6",), output="sigmoid", l2=0.01), at(0.05, name="sgd", momentum=0.9, nesterov=True)),
]


def test_many_heads_at_once_equal_each_alone_in_keras(sample, make_job):
    jobs = [
        make_job(fold, key=f"{number}", head=head, optimizer=optimizer)
        for number, (fold, head, optimizer) in enumerate(HEADS)
    ]
    assert len(jobs[0].train) % jobs[0].batch_size != 0  # the last batch is a smaller one
    for fit, job in zip(train(sample, jobs), jobs, strict=True):
        alone = KerasHead(job, sample)
        assert_equal_to_keras(fit, alone, [alone.run_epoch(epoch) for epoch in (1, 2, 3)])


@pytest.mark.parametrize("changes", [{"label_smoothing": 0.2}, {"class_weights": "balanced"}], ids=str)
def test_losses_are_weighed_and_smoothed_as_by_keras(sample, make_job, changes):
    labels = np.where(sample.labels == 2, sample.labels, sample.labels // 2)  # class 0 twice as often, class 3 never
    uneven = dataclasses.replace(sample, labels=labels)
    job = make_job(head=Head(layers=("dense 6",)), **changes)
    alone = KerasHead(job, uneven)
    for epoch in (1, 2, 3):
        alone.run_epoch(epoch)
    (fit,) = train(uneven, [dataclasses.replace(job, validation=None)])
    assert_equal_to_keras(fit, alone, [{}] * 3)
    (plain,) = train(uneven, [make_job(head=job.head, validation=None)])
    assert np.abs(plain.weights[0] - fit.weights[0]).max() > 1e-3


def test_recorded_losses_leave_out_smoothing_and_class_weights(sample, make_job):
    job = make_job(label_smoothing=0.3, class_weights="balanced", validation=None)
    (fit,) = train(sample, [job])
    logits = forward(job.head, fit.weights, sample.features[job.train])
    assert fit.best.train.loss == pytest.approx(log_loss(sample.labels[job.train], softmax(logits)), rel=1e-5)
    (still,) = train(sample, [dataclasses.replace(job, settings=dataclasses.replace(job.settings, optimizer=at(1e-9)))])
    first = forward(job.head, still.weights, sample.features[job.train])
    assert still.history[0].train.loss == pytest.approx(log_loss(sample.labels[job.train], softmax(first)), rel=1e-5)


def test_sigmoids_that_keras_clips_have_no_gradient(sample, make_job):
    """Rows far out: sigmoids below 1e-7, which Keras takes for 1e-7."""
    far = dataclasses.replace(sample, features=sample.features * 40)
    job = make_job(head=Head(output="sigmoid"), optimizer=at(0.02, name="sgd"))
    alone = KerasHead(job, far)
    for epoch in (1, 2, 3):
        alone.run_epoch(epoch)
    (fit,) = train(far, [dataclasses.replace(job, validation=None)])
    assert 0.1 < (alone.keras.ops.convert_to_numpy(alone.model(far.features)) < 1e-7).mean() < 0.9
    assert_equal_to_keras(fit, alone, [{}] * 3)


@pytest.mark.parametrize("head", [Head(), Head(layers=("dense 9 l2 0.02",), l2=0.02)], ids=["linear", "hidden with L2"])
def test_metrics_of_every_epoch_are_those_of_fit(sample, make_job, head):
    job = make_job(head=head)
    alone = KerasHead(job, sample, metrics=True)
    history = [alone.fit_epoch(epoch) for epoch in (1, 2, 3)]
    assert set(history[0]) >= {"loss", "accuracy", "precision", "recall", "top_k", "val_loss", "val_top_k"}
    assert_equal_to_keras(train(sample, [job])[0], alone, history)


@pytest.mark.parametrize(
    ("schedule", "optimizer"),
    [
        (Schedule("steps", factor=0.1, every=1), dataclasses.replace(SGD, momentum=0.9)),
        (Schedule("inverse_time", factor=0.2), ADAM),
        (Schedule("cosine"), SGD),
    ],
    ids=["steps", "inverse_time", "cosine"],
)
def test_schedules_are_those_of_keras(sample, make_job, schedule, optimizer):
    job = make_job(schedule=schedule, optimizer=optimizer)
    rate, steps = optimizer.learning_rate, math.ceil(len(job.train) / job.batch_size)
    schedules = keras_module().optimizers.schedules
    by_keras = {
        "steps": schedules.PiecewiseConstantDecay([steps - 1, 2 * steps - 1], [rate, rate / 10, rate / 100]),
        "inverse_time": schedules.InverseTimeDecay(rate, decay_steps=1, decay_rate=0.2),
        "cosine": schedules.CosineDecay(rate, decay_steps=3 * steps),
    }
    alone = KerasHead(job, sample, rate=by_keras[schedule.kind])
    history = [alone.run_epoch(epoch) for epoch in (1, 2, 3)]
    (fit,) = train(sample, [job])
    assert_equal_to_keras(fit, alone, history)
    first_steps = [float(by_keras[schedule.kind](steps * epoch)) for epoch in range(3)]
    assert [row.learning_rate for row in fit.history] == pytest.approx(first_steps)


def test_early_stopping_stops_where_keras_does(sample, make_job):
    job = make_job(epochs=30, patience=2, optimizer=dataclasses.replace(ADAM, learning_rate=0.2), watched=True)
    (fit,) = train(sample, [job], measure=LOSS)
    alone = KerasHead(job, sample)
    stopping = keras_module().callbacks.EarlyStopping("val_loss", patience=2)
    stopping.set_model(alone.model)
    stopping.on_train_begin()
    epochs = 0
    while not alone.model.stop_training:
        stopping.on_epoch_end(epochs, alone.run_epoch(epochs + 1))
        epochs += 1
    assert len(fit.history) == epochs < 30
    assert fit.best_epoch == stopping.best_epoch + 1
    assert [row.epoch for row in fit.history] == list(range(1, epochs + 1))


def grid(make_job):
    """Different rates, folds, heads, lengths and patience."""
    jobs = [
        make_job(fold, key=f"{rate:g}/{fold}", optimizer=dataclasses.replace(ADAM, learning_rate=rate))
        for rate in (0.001, 0.01, 0.1)
        for fold in range(3)
    ]
    longer = make_job(4, key="longer", epochs=6)
    dropping = make_job(0, key="dropping", head=Head(layers=("dense 6", "dropout 0.5")))
    dropping_inputs = make_job(1, key="dropping inputs", head=Head(layers=("dropout 0.3",)))
    wild = dataclasses.replace(ADAM, learning_rate=1)
    impatient = make_job(0, key="impatient", epochs=9, patience=1, optimizer=wild, watched=True)
    smoothed = make_job(0, key="smoothed", label_smoothing=0.1)
    balanced = make_job(0, key="balanced", class_weights="balanced")
    logistic = make_job(2, key="logistic", head=Head(output="logistic"))
    return [*jobs, longer, dropping, dropping_inputs, smoothed, balanced, logistic, impatient]


def assert_same_fit(one, other, tolerance):
    assert one.key == other.key
    assert len(one.history) == len(other.history)
    assert one.best_epoch == other.best_epoch
    for part, same in zip(one.weights, other.weights, strict=True):
        assert part == pytest.approx(same, abs=tolerance)
    assert one.validation_logits == pytest.approx(other.validation_logits, abs=100 * tolerance)


def test_many_at_once_equal_each_alone(sample, make_job):
    jobs = grid(make_job)
    for together, job in zip(train(sample, jobs), jobs, strict=True):
        assert_same_fit(together, train(sample, [job])[0], 1e-6)


def test_order_of_jobs_changes_nothing(sample, make_job):
    jobs = grid(make_job)
    order = np.random.default_rng(0).permutation(len(jobs))
    shuffled = train(sample, [jobs[place] for place in order])
    fits = train(sample, jobs)
    for fit, place in zip(shuffled, order, strict=True):
        assert_same_fit(fit, fits[place], 0)


def test_large_groups_are_cut_without_changing_numbers(sample, make_job, monkeypatch):
    jobs = grid(make_job)
    whole = train(sample, jobs)
    monkeypatch.setattr(bank, "GROUP_WEIGHTS", 60)
    monkeypatch.setattr(bank, "LIVING_WEIGHTS", 1)
    for fit, same in zip(train(sample, jobs), whole, strict=True):
        assert_same_fit(fit, same, 1e-6)


def test_best_epoch_has_the_best_value_and_its_weights(sample, make_job):
    jobs = [make_job(epochs=12, optimizer=dataclasses.replace(ADAM, learning_rate=0.3), watched=True)]
    for measure_of in (ACCURACY, LOSS):
        (fit,) = train(sample, jobs, measure=measure_of)
        values = [getattr(row.validation, measure_of.name) for row in fit.history]
        best = values.index((max if measure_of == ACCURACY else min)(values))
        assert fit.best_epoch == best + 1 == fit.best.epoch
        rows = jobs[0].validation
        assert forward(Head(), fit.weights, sample.features[rows]) == pytest.approx(fit.validation_logits, abs=1e-4)
        again = measure(fit.validation_logits, sample.labels[rows])
        assert again.loss == pytest.approx(fit.history[best].validation.loss, rel=1e-5)
        assert fit.best.validation.loss == pytest.approx(again.loss, rel=1e-6)
        assert fit.last.epoch == 12
        assert fit.last.validation.loss == pytest.approx(fit.history[-1].validation.loss, rel=1e-5)


def test_validation_images_have_no_say_in_what_is_kept(sample, make_job):
    """The labels of those that validate are exchanged: every kept weight stays, bit for bit."""
    jobs, labels = grid(make_job), sample.labels.copy()
    held_out = jobs[0].validation
    labels[held_out] = (labels[held_out] + 1) % sample.classes
    own = [job for job in jobs if np.array_equal(job.validation, held_out) and job.watch is None]
    fits, others = train(sample, own), train(dataclasses.replace(sample, labels=labels), own)
    assert len(own) >= 5
    for fit, other, job in zip(fits, others, own, strict=True):
        assert (fit.best_epoch, fit.best) == (job.epochs, fit.last)
        assert all(np.array_equal(*pair) for pair in zip(fit.weights, other.weights, strict=True))
        assert fit.history[-1].validation.loss != other.history[-1].validation.loss


def test_images_that_watch_choose_the_epoch_and_those_that_validate_judge_it(sample, make_job):
    rows, chosen = make_job().train, []
    job = make_job(epochs=12, optimizer=dataclasses.replace(ADAM, learning_rate=0.3), train=rows[20:])
    watched = dataclasses.replace(job, watch=rows[:20])
    ends = train(sample, [dataclasses.replace(job, epochs=epochs) for epochs in range(1, 13)])
    said = [softmax(forward(job.head, fit.weights, sample.features[rows[:20]])) for fit in ends]
    for name in ("balanced_accuracy", "auc", "loss"):
        (fit,) = train(sample, [watched], measure=Measure(name))
        best = int(np.argmax([by_scikit_learn(name, sample.labels[rows[:20]], one) for one in said]))
        assert fit.best_epoch == best + 1, name
        for one, end in zip(fit.weights, ends[best].weights, strict=True):
            assert one == pytest.approx(end, abs=1e-6)
        assert fit.best.validation.loss == pytest.approx(ends[best].best.validation.loss, rel=1e-5)
        chosen.append(fit.best_epoch)
    assert min(chosen) < 12


def by_scikit_learn(name, labels, probabilities):
    """Return a measure of the epochs' probabilities, more being better."""
    if name == "loss":
        return -log_loss(labels, probabilities)
    if name == "auc":
        return roc_auc_score(labels, probabilities, multi_class="ovr")
    return balanced_accuracy_score(labels, probabilities.argmax(axis=1))


def test_scores_leave_out_the_penalty_and_histories_do_not(sample, make_job):
    job = make_job(head=Head(layers=("dense 6 l2 0.1",), l2=0.05), validation=None)
    longer = dataclasses.replace(job, epochs=4)
    (fit,), (next_one,) = train(sample, [job]), train(sample, [longer])
    logits = forward(job.head, fit.weights, sample.features[job.train])
    assert fit.best == dataclasses.replace(fit.last)
    assert fit.best.train.loss == pytest.approx(measure(logits, sample.labels[job.train]).loss, rel=1e-5)
    assert next_one.history[3].train.loss > fit.best.train.loss + 0.5 * penalty(job.head, fit.weights)


def test_without_validation_the_last_epoch_is_kept(sample, make_job):
    (fit,) = train(sample, [make_job(validation=None, patience=1)])
    assert (fit.best_epoch, len(fit.history), fit.validation_logits) == (3, 3, None)
    assert fit.best.validation is None
    assert all(row.validation is None for row in fit.history)


def test_a_head_that_diverges_harms_no_other(sample, make_job):
    head = Head(layers=("dense 6",))
    good = make_job(key="good", head=head, optimizer=SGD)
    bad = make_job(key="wild", head=head, optimizer=dataclasses.replace(SGD, learning_rate=1e12), epochs=5)
    alone, (fit, wild) = train(sample, [good])[0], train(sample, [good, bad])
    assert_same_fit(fit, alone, 1e-6)
    assert math.isnan(wild.history[-1].train.loss)
    assert len(wild.history) == 5
    assert all(np.isfinite(part).all() for part in wild.weights)
    assert np.isfinite(wild.validation_logits).all()


def test_when_no_epoch_is_finite_the_initial_weights_are_kept(sample, make_job):
    job = make_job(optimizer=dataclasses.replace(SGD, learning_rate=1e38, momentum=0.9), key="wild")
    features = dataclasses.replace(sample, features=sample.features * 1e4)
    (fit,) = train(features, [job])
    initial = initial_weights(job.head, inputs=sample.features.shape[1], classes=sample.classes, seed=job.init_seed)
    assert all(math.isnan(row.validation.loss) for row in fit.history)
    assert fit.best_epoch == 1
    assert all(np.array_equal(kept, first) for kept, first in zip(fit.weights, initial, strict=True))
    assert math.isfinite(fit.best.validation.loss)


class Drops:
    """The masks that a job's dropout seed stands for, drawn here a second time."""

    def __init__(self, seed, rate):
        self.random, self.keep = np.random.default_rng(seed), 1 - rate

    def mask(self, shape):
        return (self.random.random(shape, dtype=np.float32) < self.keep) / self.keep


@pytest.mark.parametrize(
    "layers",
    [
        ("dropout 0.25",),
        ("dense 6", "dropout 0.25"),
        ("dense 7", "dropout 0.25", "dense 6", "dropout 0.25"),
        ("dropout 0.25", "dense 7 tanh", "dense 6 linear", "dropout 0.25"),
        ("dense 7", "dropout 0.25", "dense 6 tanh l2 0.1", "dropout 0.25"),
    ],
    ids=str,
)
def test_dropout_is_that_of_a_keras_model_with_the_same_masks(sample, make_job, layers):
    keras, drops = keras_module(), Drops(11, 0.25)
    job = make_job(head=Head(layers=layers), dropout_seed=11, epochs=2, validation=None, optimizer=SGD)

    class Masked(keras.layers.Layer):
        def call(self, inputs):
            known = inputs.shape[0] is not None  # else Keras only asks for the shape
            return inputs * drops.mask(inputs.shape).astype(np.float32) if known else inputs

    built = []
    for layer in job.head.dense_layers(sample.classes):
        built += [Masked()] if layer.dropout else []
        built.append(
            keras.layers.Dense(layer.units, layer.activation, kernel_regularizer=keras.regularizers.L2(layer.l2))
        )
    model = keras.Sequential([keras.Input((12,)), *built])
    model.set_weights(initial_weights(job.head, inputs=12, classes=sample.classes, seed=job.init_seed))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(SGD.learning_rate), loss, run_eagerly=True)
    for epoch in (1, 2):
        rows = job.train[batch_order(job.order_seed, epoch, len(job.train))]
        for start in range(0, len(rows), job.batch_size):
            batch = rows[start : start + job.batch_size]
            model.train_on_batch(sample.features[batch], sample.labels[batch])
    (fit,) = train(sample, [job])
    for ours, theirs in zip(fit.weights, model.get_weights(), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)


def test_features_may_be_memory_mapped(sample, make_job, tmp_path):
    path = tmp_path / "features.npy"
    np.save(path, sample.features)
    mapped = dataclasses.replace(sample, features=np.load(path, mmap_mode="r"))
    assert isinstance(mapped.features, np.memmap)
    jobs = grid(make_job)
    for fit, same in zip(train(mapped, jobs), train(sample, jobs), strict=True):
        assert_same_fit(fit, same, 0)


class Counter(Progress):
    done = total = 0

    @contextmanager
    def track(self, name, *, total, unit):
        self.total = total

        def advance(count):
            self.done += count

        yield advance


def test_progress_counts_every_epoch_also_those_left_out(sample, make_job):
    counter, jobs = Counter(), grid(make_job)
    fits = train(sample, jobs, progress=counter)
    assert len(fits[-1].history) < jobs[-1].epochs  # it stopped early
    assert counter.done == counter.total == sum(job.epochs for job in jobs)


def test_batches_larger_than_the_data_are_one_step(sample, make_job):
    changes = {"epochs": 1, "optimizer": SGD, "validation": None}
    rows = len(make_job().train)
    large, exact = (train(sample, [make_job(batch_size=size, **changes)])[0] for size in (1000, rows))
    assert all(np.array_equal(one, other) for one, other in zip(large.weights, exact.weights, strict=True))


@pytest.mark.parametrize(
    "changes",
    [{"trainable": "all"}, {"phases": (Phase(1),)}, {"fresh": ("flip",)}],
    ids=["backbone", "phases", "fresh"],
)
def test_what_needs_the_backbone_is_refused(sample, make_job, changes):
    with pytest.raises(ValueError, match="one phase, on features that stay"):
        train(sample, [make_job(), make_job(**changes)])


def test_jobs_of_other_settings_are_not_computed_together(sample, make_job):
    """Every setting that decides a step makes other numbers than the plain job beside it."""
    others = [
        {"label_smoothing": 0.1},
        {"class_weights": "balanced"},
        {"batch_size": 40},
        {"optimizer": at(0.01, epsilon=0.1)},
        {"head": Head(output="sigmoid")},
        {"schedule": Schedule("steps", every=1)},
    ]
    jobs = [make_job(1, key=f"{number}", validation=None, **changes) for number, changes in enumerate([{}, *others])]
    plain, *fits = train(sample, jobs)
    for fit, job in zip(fits, jobs[1:], strict=True):
        assert_same_fit(fit, train(sample, [job])[0], 0)
        assert np.abs(fit.weights[0] - plain.weights[0]).max() > 1e-4


def test_no_jobs_no_fits(sample):
    assert train(sample, []) == []


def test_features_without_columns_are_refused(sample, make_job):
    with pytest.raises(ValueError, match=r"must be \(images, inputs\)"):
        train(dataclasses.replace(sample, features=sample.features[:, :0]), [make_job()])
