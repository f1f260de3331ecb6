import dataclasses
import io
import json
from contextlib import contextmanager

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from headstart.backbones.catalog import CAFFE, MINUS_ONE_TO_ONE, Preprocessing
from headstart.backbones.engine import keras_module
from headstart.evaluation.choosing import LOSS, Measure
from headstart.features.cut import tail_variables, trunk_model
from headstart.progress import Progress
from headstart.recipe import Head, Optimizer, Phase, Schedule, Training
from headstart.training import finetune
from headstart.training.finetune import FineTuner
from headstart.training.heads import Job, batch_order, forward, initial_weights, penalty, softmax
from headstart.training.tally import measure

SIDE, CLASSES, IMAGES = 8, 4, 150
EVERYTHING = np.arange(IMAGES)
HEAD = Head(layers=("dense 6 l2 0.01", "dropout 0.3"), l2=0.01)
HEAD_THEN_TAIL = (
    Phase(2, "from normalization_1", learning_rate=0.01, batch_normalization="inference", optimizer_state="keep"),
)


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (IMAGES, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def labels(pixels):
    """The brightest quarter of the picture, which a small network can learn."""
    quarters = pixels.reshape(IMAGES, 2, 4, 2, 4, 3).mean(axis=(2, 4, 5)).reshape(IMAGES, 4)
    return quarters.argmax(axis=1)


def tiny_network(channels=3):
    """Two convolutions with batch normalisation, the second in a residual block; the same weights each time."""
    keras = keras_module()
    inputs = values = keras.Input((SIDE, SIDE, channels))
    for number, stride in enumerate((2, 1), start=1):
        glorot, before = keras.initializers.GlorotUniform(seed=number), values
        convolution = keras.layers.Conv2D(
            8, 3, strides=stride, padding="same", kernel_initializer=glorot, name=f"convolution_{number}"
        )
        values = convolution(values)
        values = keras.layers.BatchNormalization(momentum=0.9, name=f"normalization_{number}")(values)
        values = keras.layers.Add(name="add")([values, before]) if number == 2 else values
        values = keras.layers.ReLU(name=f"relu_{number}")(values)
    return keras.Model(inputs, values)


def layer_number(name):
    return [layer.name for layer in tiny_network().layers].index(name)


def make_job(
    head=HEAD, *, fold=0, key="job", seeds=0, epochs=None, first_epochs=3, validation=True, watched=False, **training
):
    """Return a job on fold 0 of 5: Adam at 0.01, all layers, 3 epochs, batches of 40, unless told otherwise.

    The last epoch is kept; ``watched``: the validation images choose one.
    """
    rows = np.random.default_rng(8).permutation(IMAGES)
    defaults = {"batch_size": 40, "optimizer": Optimizer(learning_rate=0.01), "trainable": "all"}
    settings = Training(first_epochs, **(defaults | training))
    held_out = rows[fold::5]
    return Job(
        key=key,
        head=head,
        settings=settings,
        epochs=epochs or settings.all_epochs,
        train=np.setdiff1d(rows, held_out),
        validation=held_out if validation else None,
        watch=held_out if watched else None,
        order_seed=seeds,
        init_seed=seeds,
        dropout_seed=seeds,
    )


def whole_tuner(head=HEAD, classes=CLASSES):
    return FineTuner(tiny_network(), head, classes, preprocessing=MINUS_ONE_TO_ONE)


@pytest.fixture(scope="module")
def tuner():
    return whole_tuner()


def features_at(network, start, pixels):
    """Return what crosses the cut, image by image, as the trunk gives it."""
    crossed = trunk_model(network, start)(MINUS_ONE_TO_ONE.apply(pixels), training=False)
    arrays = [np.asarray(one) for one in (crossed if isinstance(crossed, list) else [crossed])]
    return np.concatenate([array.reshape(len(pixels), -1) for array in arrays], axis=1)


def bits(fit):
    arrays = [*fit.weights, *fit.backbone_weights, fit.validation_logits]
    return [array.tobytes() for array in arrays], fit.history, fit.best_epoch, fit.best, fit.last


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


def test_fine_tuning_equals_keras_fit(pixels, labels):
    keras, head = keras_module(), Head(layers=("dense 6 l2 0.01",), l2=0.01)
    sgd = Optimizer("sgd", 0.05, momentum=0.9, nesterov=True)
    job = make_job(head, optimizer=sgd, schedule=Schedule("inverse_time", factor=0.2), epochs=2)
    fit = whole_tuner(head).fit(pixels, labels, job)
    network, l2 = tiny_network(), keras.regularizers.L2(0.01)
    values = keras.layers.GlobalAveragePooling2D()(network.output)
    values = keras.layers.Dense(6, activation="relu", kernel_regularizer=l2)(values)
    model = keras.Model(network.input, keras.layers.Dense(CLASSES, activation="softmax", kernel_regularizer=l2)(values))
    model.set_weights([*network.get_weights(), *initial_weights(head, inputs=8, classes=CLASSES, seed=0)])
    rate = keras.optimizers.schedules.InverseTimeDecay(0.05, decay_steps=1, decay_rate=0.2)
    metrics = ["accuracy", keras.metrics.Precision(name="precision"), keras.metrics.Recall(name="recall")]
    metrics.append(keras.metrics.TopKCategoricalAccuracy(k=3, name="top_k"))
    model.compile(keras.optimizers.SGD(rate, momentum=0.9, nesterov=True), "categorical_crossentropy", metrics=metrics)
    inputs, one_hot = MINUS_ONE_TO_ONE.apply(pixels), np.eye(CLASSES)[labels]
    for row in fit.history:
        rows = job.train[batch_order(job.order_seed, row.epoch, len(job.train))]
        held_out = (inputs[job.validation], one_hot[job.validation])
        options = {"batch_size": 40, "shuffle": False, "verbose": 0, "validation_data": held_out}
        logs = model.fit(inputs[rows], one_hot[rows], **options).history
        for name in ("loss", "accuracy", "precision", "recall", "top_k"):
            assert getattr(row.train, name) == pytest.approx(logs[name][0], abs=1e-5), name
            assert getattr(row.validation, name) == pytest.approx(logs[f"val_{name}"][0], abs=1e-5), name
    assert fit.history[1].train.loss < fit.history[0].train.loss


def test_same_job_gives_the_same_bits_whatever_ran_before(tuner, pixels, labels):
    first = tuner.fit(pixels, labels, make_job())
    other = tuner.fit(pixels, labels, make_job(seeds=9))
    tuner.fit(pixels, labels, make_job(optimizer=Optimizer("sgd", 0.1, momentum=0.9)))
    tuner.fit(pixels, labels, make_job(trainable="none", phases=HEAD_THEN_TAIL))
    assert bits(tuner.fit(pixels, labels, make_job())) == bits(first)
    assert other.history[0].train.loss != first.history[0].train.loss


@pytest.mark.parametrize("epochs_done", [1, 2, 3])
@pytest.mark.parametrize(
    "training",
    [
        {"schedule": Schedule("cosine"), "epochs": 4},
        {"trainable": "none", "first_epochs": 2, "phases": HEAD_THEN_TAIL},
        {"first_epochs": 4, "average": 0.75},
    ],
    ids=["cosine", "phases", "averaged"],
)
def test_a_killed_training_goes_on_and_ends_with_the_same_bits(tuner, pixels, labels, training, epochs_done):
    job, checkpoint = make_job(**training), Memory()
    whole = tuner.fit(pixels, labels, job)
    with pytest.raises(KeyboardInterrupt):
        limit = Listener(epochs_done * len(job.train))
        tuner.fit(pixels, labels, job, checkpoint=checkpoint, progress=limit)
    with np.load(io.BytesIO(checkpoint.content), allow_pickle=False) as arrays:
        assert len(json.loads(arrays["json"].tobytes())["history"]) == epochs_done
    tuner.fit(pixels, labels, make_job(seeds=7))
    rest = Listener()
    assert bits(tuner.fit(pixels, labels, job, checkpoint=checkpoint, progress=rest)) == bits(whole)
    assert rest.done == rest.total == 4 * len(job.train)
    assert bits(tuner.fit(pixels, labels, job, checkpoint=checkpoint)) == bits(whole)


def test_a_checkpoint_of_another_job_is_passed_over(tuner, pixels, labels):
    checkpoint, job = Memory(), make_job(epochs=2)
    tuner.fit(pixels, labels, make_job(key="other", epochs=1), checkpoint=checkpoint)
    expected = tuner.fit(pixels, labels, job)
    assert bits(tuner.fit(pixels, labels, job, checkpoint=checkpoint)) == bits(expected)


def test_nothing_is_traced_again_for_another_rate_fold_or_loss(pixels, labels):
    keras, traced = keras_module(), []
    if keras.backend.backend() == "torch":
        pytest.skip("PyTorch runs eagerly: nothing is traced")

    class Watched(keras.layers.Layer):
        def call(self, inputs):
            traced.append(inputs.shape)
            return inputs

    network = tiny_network()
    watched = keras.Model(network.input, Watched()(network.output))
    tuner = FineTuner(watched, Head(), CLASSES, preprocessing=MINUS_ONE_TO_ONE)
    counts = []
    phases = (Phase(2, "from normalization_1"),)
    for fold, rate in enumerate((0.01, 0.02, 0.05)):
        optimizer = Optimizer("adam", rate)
        job = make_job(Head(), fold=fold, optimizer=optimizer, phases=phases, label_smoothing=rate, epochs=5)
        fit = tuner.fit(pixels, labels, job)
        for rows in (job.train, job.validation):
            tuner.logits(pixels, rows, fit)
        counts.append(len(traced))
    assert counts[0] > 0
    assert counts == [counts[0]] * 3


def test_best_epoch_weights_and_scores(tuner, pixels, labels):
    job = make_job(epochs=5, optimizer=Optimizer("adam", 0.1), watched=True)
    fit = tuner.fit(pixels, labels, job)
    accuracies = [row.validation.accuracy for row in fit.history]
    assert fit.best_epoch == accuracies.index(max(accuracies)) + 1
    assert np.array_equal(tuner.logits(pixels, job.validation, fit), fit.validation_logits)
    best = fit.history[fit.best_epoch - 1].validation
    assert fit.best.validation.accuracy == best.accuracy
    assert fit.best.validation.loss + penalty(HEAD, fit.weights) == pytest.approx(best.loss, rel=1e-5)
    assert fit.best.train.loss == pytest.approx(
        measure(tuner.logits(pixels, job.train, fit), labels[job.train]).loss, rel=1e-6
    )
    assert (fit.best.epoch, fit.last.epoch) == (fit.best_epoch, 5)
    assert [array.shape for array in fit.weights] == [(8, 6), (6,), (6, CLASSES), (CLASSES,)]
    assert [array.shape for array in fit.backbone_weights] == [one.shape for one in tail_variables(tiny_network(), 0)]


def test_the_best_epoch_may_lie_in_an_earlier_phase(tuner, pixels, labels):
    spoil = Phase(2, "all", learning_rate=5.0)
    job = make_job(epochs=5, phases=(spoil,), watched=True)
    fit = tuner.fit(pixels, labels, job, measure=LOSS)
    assert [row.phase for row in fit.history] == [1, 1, 1, 2, 2]
    assert [row.epoch for row in fit.history] == [1, 2, 3, 4, 5]
    assert [row.learning_rate for row in fit.history] == [0.01, 0.01, 0.01, 5.0, 5.0]
    assert fit.best_epoch == 3
    best = fit.history[2].validation
    assert fit.best.validation.loss + penalty(HEAD, fit.weights) == pytest.approx(best.loss, rel=1e-5)
    assert measure(fit.validation_logits, labels[job.validation]).accuracy == best.accuracy
    assert fit.last.validation.loss > fit.best.validation.loss


def test_patience_counts_through_all_phases(tuner, pixels, labels):
    spoil = Phase(9, "all", learning_rate=5.0)
    fit = tuner.fit(pixels, labels, make_job(phases=(spoil,), patience=2, watched=True), measure=LOSS)
    assert [row.phase for row in fit.history] == [1, 1, 1, 2, 2]
    alone = tuner.fit(pixels, labels, make_job(validation=False, patience=2, epochs=4))
    assert (alone.best_epoch, alone.validation_logits, alone.best.validation) == (4, None, None)


def test_validation_images_have_no_say_in_what_is_kept(tuner, pixels, labels):
    job = make_job(epochs=3, optimizer=Optimizer("adam", 0.1))
    other_labels = labels.copy()
    other_labels[job.validation] = (labels[job.validation] + 1) % CLASSES
    fit, other = tuner.fit(pixels, labels, job, measure=LOSS), tuner.fit(pixels, other_labels, job, measure=LOSS)
    assert (fit.best_epoch, fit.best) == (3, fit.last)
    for one, same in zip((*fit.weights, *fit.backbone_weights), (*other.weights, *other.backbone_weights), strict=True):
        assert np.array_equal(one, same)
    assert fit.best.validation.accuracy != other.best.validation.accuracy


@pytest.mark.parametrize("training", [{}, {"trainable": "from normalization_2"}], ids=["pixels", "features"])
def test_images_that_only_watch_choose_the_epoch(tuner, pixels, labels, training):
    rows = make_job().train
    job = dataclasses.replace(
        make_job(epochs=5, optimizer=Optimizer("adam", 0.1), **training), train=rows[40:], watch=rows[:40]
    )
    fit = tuner.fit(pixels, labels, job, measure=Measure("balanced_accuracy"))
    said = []
    for epochs in range(1, 6):
        end = tuner.fit(pixels, labels, dataclasses.replace(job, watch=None, epochs=epochs))
        answers = tuner.logits(pixels, job.watch, end).argmax(axis=1)
        said.append(balanced_accuracy_score(labels[job.watch], answers))
    assert fit.best_epoch == int(np.argmax(said)) + 1
    assert len(fit.validation_logits) == len(job.validation)


def weights_after(tuner, pixels, labels, job, epochs):
    """Return the weights after so many epochs, backbone first, in doubles."""
    settings = dataclasses.replace(job.settings, average=0.0)
    fit = tuner.fit(pixels, labels, dataclasses.replace(job, settings=settings, epochs=epochs))
    return [array.astype(np.float64) for array in (*fit.backbone_weights, *fit.weights)]


def without_statistics(network, arrays):
    names = [one.path.rsplit("/", 1)[-1] for one in tail_variables(network, 0)]
    names += [""] * (len(arrays) - len(names))
    return [array for array, name in zip(arrays, names, strict=True) if not name.startswith("moving_")]


def convolved(values, kernel, bias, stride):
    """Return a convolution of 3 x 3 with ``padding="same"`` as TensorFlow pads, computed by NumPy."""
    side = values.shape[1]
    pad = (-(-side // stride) - 1) * stride + 3 - side
    padded = np.pad(values, [(0, 0), *[(pad // 2, pad - pad // 2)] * 2, (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("nyxcij,ijco->nyxo", windows, kernel) + bias


def statistics_of(named, images, batches):
    """Return mean and variance of both normalisations over all images, in training mode, computed by NumPy."""
    seen = {1: [], 2: []}
    for rows in batches:
        values = MINUS_ONE_TO_ONE.apply(images[rows]).astype(np.float64)
        for number, stride in ((1, 2), (2, 1)):
            kernel, bias, gamma, beta = (named[number][key] for key in ("kernel", "bias", "gamma", "beta"))
            values = convolved(values, kernel, bias, stride)
            seen[number].append(values)
            mean, variance = values.mean(axis=(0, 1, 2)), values.var(axis=(0, 1, 2))
            values = np.maximum(0, (values - mean) / np.sqrt(variance + 1e-3) * gamma + beta)
    together = {number: np.concatenate(parts) for number, parts in seen.items()}
    return {number: (one.mean(axis=(0, 1, 2)), one.var(axis=(0, 1, 2))) for number, one in together.items()}


def named_weights(fit):
    """Return the weights of a fit of the tiny network by the number of their layer and their own name."""
    named = {1: {}, 2: {}}
    for variable, array in zip(tail_variables(tiny_network(), 0), fit.backbone_weights, strict=True):
        layer, name = variable.path.split("/")[-2:]
        named[int(layer[-1])][name] = array.astype(np.float64)
    return named


def test_averaged_weights_are_the_mean_and_statistics_are_measured_again(tuner, pixels, labels):
    job = make_job(first_epochs=4, average=0.5)
    fit = tuner.fit(pixels, labels, job)
    ends = [weights_after(tuner, pixels, labels, job, epochs) for epochs in (3, 4)]
    expected = [np.mean(pair, axis=0) for pair in zip(*ends, strict=True)]
    found = [*fit.backbone_weights, *fit.weights]
    network = tiny_network()
    pairs = zip(without_statistics(network, found), without_statistics(network, expected), strict=True)
    assert all(one == pytest.approx(mean, abs=1e-7) for one, mean in pairs)
    rows = job.train[batch_order(job.order_seed, 0, len(job.train))]
    assert len(rows) > 64  # so that the second batch is a smaller one
    named = named_weights(fit)
    for number, (mean, variance) in statistics_of(named, pixels, [rows[:64], rows[64:]]).items():
        assert named[number]["moving_mean"] == pytest.approx(mean, abs=1e-4)
        assert named[number]["moving_variance"] == pytest.approx(variance, rel=1e-3)
    assert (fit.best_epoch, fit.best.epoch, fit.last.epoch) == (4, 4, 4)
    again = tuner.logits(pixels, job.validation, fit)
    assert np.array_equal(again, fit.validation_logits)
    assert fit.best.validation == measure(again, labels[job.validation])
    assert fit.last.validation.loss != fit.best.validation.loss


@pytest.mark.parametrize(
    "training", [{"batch_normalization": "inference"}, {"trainable": "from relu_2"}], ids=["inference", "frozen"]
)
def test_statistics_that_follow_no_batches_are_not_measured_again(tuner, pixels, labels, training):
    job = make_job(first_epochs=2, average=1 - 1e-9, **training)
    named = named_weights(tuner.fit(pixels, labels, job))
    for number in (1, 2):
        assert np.array_equal(named[number]["moving_mean"], np.zeros(8))
        assert np.array_equal(named[number]["moving_variance"], np.ones(8))


def test_a_frozen_layer_keeps_its_statistics_while_a_later_one_is_measured_again(tuner, pixels, labels):
    named = named_weights(tuner.fit(pixels, labels, make_job(first_epochs=2, average=0.9, trainable="from add")))
    assert np.array_equal(named[2]["moving_mean"], np.zeros(8))
    named = named_weights(tuner.fit(pixels, labels, make_job(first_epochs=2, average=0.9, trainable="last 4")))
    assert np.array_equal(named[1]["moving_variance"], np.ones(8))
    assert not np.array_equal(named[2]["moving_variance"], np.ones(8))


def test_an_average_that_began_in_an_earlier_phase_is_judged_as_it_is_kept(tuner, pixels, labels):
    """The last phase holds layers frozen whose mean is of both phases."""
    job = make_job(first_epochs=2, average=0.75, phases=(Phase(2, "from normalization_2", learning_rate=0.01),))
    fit = tuner.fit(pixels, labels, job)
    ends = [weights_after(tuner, pixels, labels, job, epochs) for epochs in (2, 3, 4)]
    assert fit.backbone_weights[0] == pytest.approx(np.mean([one[0] for one in ends], axis=0), abs=1e-7)
    assert fit.validation_logits == pytest.approx(tuner.logits(pixels, job.validation, fit), abs=1e-6)


@pytest.mark.parametrize(("average", "first"), [(0.0, 11), (0.2, 9), (0.9, 2), (0.25, 8), (0.01, 10)])
def test_the_last_share_of_the_epochs_is_averaged(average, first):
    assert finetune._first_averaged(make_job(first_epochs=10, average=average)) == first


def test_one_epoch_is_no_average(tuner, pixels, labels):
    job = make_job(first_epochs=2, average=0.1)
    plain = dataclasses.replace(job, settings=dataclasses.replace(job.settings, average=0.0))
    assert bits(tuner.fit(pixels, labels, job)) == bits(tuner.fit(pixels, labels, plain))


def test_epochs_of_the_job_cut_the_phases_short(tuner, pixels, labels):
    job = make_job(trainable="none", phases=HEAD_THEN_TAIL, epochs=4)
    fit = tuner.fit(pixels, labels, job)
    assert [(row.phase, row.epoch) for row in fit.history] == [(1, 1), (1, 2), (1, 3), (2, 4)]


def test_divergence_is_written_down_and_the_weights_stay_finite(tuner, pixels, labels):
    job = make_job(optimizer=Optimizer("sgd", 1e20))
    fit = tuner.fit(pixels, labels, job, checkpoint=Memory())
    assert np.isnan(fit.history[-1].train.loss)
    assert all(np.isfinite(array).all() for array in (*fit.weights, *fit.backbone_weights))


def test_logits_are_head_on_network_on_preprocessed_pixels(pixels, labels):
    for pooling, reduce in (
        ("average", lambda maps: maps.mean(axis=(1, 2))),
        ("max", lambda maps: maps.max(axis=(1, 2))),
        ("flatten", lambda maps: maps.reshape(len(maps), -1)),
    ):
        network, head = tiny_network(), Head(pooling, ("dense 5 tanh",), "sigmoid")
        tuner = FineTuner(network, head, CLASSES, preprocessing=CAFFE)
        fit = tuner.fit(pixels, labels, make_job(head, epochs=1))
        logits = tuner.logits(pixels, np.arange(70), fit)
        network.set_weights(list(fit.backbone_weights))
        features = reduce(np.asarray(network(CAFFE.apply(pixels[:70]), training=False)))
        assert logits == pytest.approx(forward(head, fit.weights, features), rel=1e-4, abs=1e-4), pooling


def test_grey_has_one_channel(pixels, labels):
    grey = Preprocessing("grey", (1 / 255,) * 3, (-0.5,) * 3)
    network = tiny_network(channels=1)
    tuner = FineTuner(network, Head(), CLASSES, preprocessing=grey)
    fit = tuner.fit(pixels, labels, make_job(Head(), epochs=1))
    network.set_weights(list(fit.backbone_weights))
    brightness = pixels.astype(np.float64) @ (0.299, 0.587, 0.114) / 255 - 0.5
    features = np.asarray(network(brightness[..., None].astype(np.float32), training=False)).mean(axis=(1, 2))
    assert tuner.logits(pixels, EVERYTHING, fit) == pytest.approx(forward(Head(), fit.weights, features), abs=1e-4)


def test_pixels_may_be_memory_mapped_and_classes_two(pixels, labels, tmp_path):
    np.save(tmp_path / "pixels.npy", pixels)
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    tuner, job = whole_tuner(Head(), 2), make_job(Head(), epochs=1)
    fit = tuner.fit(mapped, labels % 2, job)
    assert fit.history[0].train.top_k is None
    assert bits(tuner.fit(pixels, labels % 2, job)) == bits(fit)


def test_a_network_may_end_flat(pixels, labels):
    keras, base = keras_module(), tiny_network()
    flat = keras.layers.Dense(7, activation="relu")(keras.layers.Flatten()(base.output))
    tuner = FineTuner(keras.Model(base.input, flat), Head("flatten"), CLASSES, preprocessing=MINUS_ONE_TO_ONE)
    fit = tuner.fit(pixels, labels, make_job(Head("flatten"), epochs=1))
    assert [array.shape for array in fit.weights] == [(7, CLASSES), (CLASSES,)]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_features_from_the_cut_train_as_pixels_do(tuner, pixels, labels, tmp_path, dtype):
    start = layer_number("normalization_1")
    job = make_job(trainable="none", phases=HEAD_THEN_TAIL)
    from_pixels = tuner.fit(pixels, labels, job)
    network = tiny_network()
    np.save(tmp_path / "features.npy", features_at(network, start, pixels).astype(dtype))
    features = np.load(tmp_path / "features.npy", mmap_mode="r")
    tail = FineTuner(network, HEAD, CLASSES, preprocessing=None, start=start)
    fit = tail.fit(features, labels, job)
    tolerance = 1e-5 if dtype == np.float32 else 2e-3
    for row, expected in zip(fit.history, from_pixels.history, strict=True):
        assert row.train.loss == pytest.approx(expected.train.loss, abs=tolerance)
        assert row.validation.loss == pytest.approx(expected.validation.loss, abs=tolerance)
    assert softmax(tail.logits(features, EVERYTHING, fit)) == pytest.approx(
        softmax(tuner.logits(pixels, EVERYTHING, from_pixels)), abs=tolerance
    )
    shapes = [tuple(one.shape) for one in tail_variables(network, start)]
    assert [array.shape for array in fit.backbone_weights] == shapes


def test_what_does_not_fit_in_memory_is_computed_in_every_step(tuner, pixels, labels, monkeypatch):
    job = make_job(trainable="none", phases=HEAD_THEN_TAIL)
    expected = tuner.fit(pixels, labels, job)
    monkeypatch.setattr(finetune, "limit_bytes", lambda: 1)
    fit = tuner.fit(pixels, labels, job)
    assert softmax(fit.validation_logits) == pytest.approx(softmax(expected.validation_logits), abs=1e-5)
    assert [row.train.loss for row in fit.history] == pytest.approx([row.train.loss for row in expected.history])


def test_training_images_change_anew_in_every_epoch(tuner, pixels, labels, monkeypatch):
    calls = []

    def mirror(batch, operations, *, seed, epoch, rows):
        assert np.array_equal(batch, pixels[rows])
        calls.append((operations, seed, epoch, tuple(rows)))
        return batch[:, :, ::-1]

    monkeypatch.setattr(finetune, "fresh_batch", mirror)
    job = make_job(trainable="none", epochs=2)
    fresh = dataclasses.replace(job, fresh=("flip",), augment_seed=5)
    fit = tuner.fit(pixels, labels, fresh)
    for epoch in (1, 2):
        order = job.train[batch_order(job.order_seed, epoch, len(job.train))]
        seen = [rows for operations, seed, at, rows in calls if (operations, seed, at) == (("flip",), 5, epoch)]
        assert [row for rows in seen for row in rows] == order.tolist()
    mirrored = pixels.copy()
    mirrored[job.train] = pixels[job.train, :, ::-1]
    expected = tuner.fit(mirrored, labels, job)
    assert fit.validation_logits == pytest.approx(expected.validation_logits, abs=1e-5)
    assert fit.history[1].validation.loss == pytest.approx(expected.history[1].validation.loss, abs=1e-5)


def test_fresh_images_are_drawn_by_their_seed(tuner, pixels, labels):
    job = dataclasses.replace(make_job(epochs=2), fresh=("flip + rotation 0.2",), augment_seed=1)
    first = tuner.fit(pixels, labels, job)
    assert bits(tuner.fit(pixels, labels, job)) == bits(first)
    other = tuner.fit(pixels, labels, dataclasses.replace(job, augment_seed=2))
    assert other.history[0].train.loss != first.history[0].train.loss


def test_features_cannot_change_in_every_epoch(pixels, labels):
    tuner = FineTuner(tiny_network(), HEAD, CLASSES, preprocessing=None, start=2)
    with pytest.raises(ValueError, match="need pixels"):
        tuner.fit(pixels, labels, dataclasses.replace(make_job(), fresh=("flip",)))
