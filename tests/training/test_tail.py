"""Training from the cut, held against plain Keras that trains the whole model with its first layers frozen."""

import dataclasses

import numpy as np
import pytest

from headstart.backbones import architectures, catalog
from headstart.backbones.catalog import MINUS_ONE_TO_ONE
from headstart.backbones.engine import keras_module
from headstart.features.cut import crossing_shapes, tail_variables, trunk_model
from headstart.recipe import Head, Optimizer, Phase, Training
from headstart.training.finetune import FineTuner
from headstart.training.heads import Job, batch_order, class_weights, initial_weights, penalty, softmax
from headstart.training.phases import stages
from headstart.training.tally import measure

SIDE, CLASSES, IMAGES = 32, 3, 40
RATE = 0.005
HEAD = Head(layers=("dropout 0.3", "dense 6 l2 0.01"))


@pytest.fixture(scope="module")
def pixels():
    """Coloured squares, whose colour tells the class."""
    random = np.random.default_rng(1)
    coarse = random.integers(0, 256, (IMAGES, 4, 4, 3), np.uint8)
    coarse[np.arange(IMAGES), :, :, np.arange(IMAGES) % CLASSES] //= 2
    return coarse.repeat(SIDE // 4, axis=1).repeat(SIDE // 4, axis=2)


@pytest.fixture(scope="module")
def labels():
    return np.arange(IMAGES) % CLASSES


def known_network(backbone):
    """Return a network of the catalogue whose random weights let the signal through; the same each time."""
    network = architectures.build(catalog.find(backbone), image_size=SIDE, seed=4)
    architectures.settle_normalization(network, MINUS_ONE_TO_ONE, seed=4)
    return network


def tiny_network(*, l2=0.0, dropout=0.0):
    """Two residual blocks on 4 x 4 squares; the same weights each time."""
    keras = keras_module()
    layers = keras.layers
    regularizer = keras.regularizers.L2(l2) if l2 else None
    inputs = keras.Input((SIDE, SIDE, 3))
    values = layers.AveragePooling2D(4)(inputs)
    for number in (0, 1, 2):
        before = values
        glorot = keras.initializers.GlorotUniform(seed=number)
        # a bias before batch normalisation has no gradient but rounding errors, which Adam makes large
        options = {"padding": "same", "use_bias": False, "kernel_regularizer": regularizer}
        values = layers.Conv2D(8, 3, kernel_initializer=glorot, **options, name=f"convolution_{number}")(values)
        values = layers.BatchNormalization(momentum=0.9, name=f"normalization_{number}")(values)
        values = layers.Add(name=f"add_{number}")([values, before]) if number else values
        values = layers.ReLU(name=f"relu_{number}")(values)
        values = layers.Dropout(dropout, name=f"dropped_{number}")(values) if dropout else values
    return keras.Model(inputs, values)


def make_job(head=HEAD, *, epochs=2, name="adam", **training):
    """Return a job that trains on all images but the first 8, in two batches: other shapes would be traced anew."""
    optimizer = Optimizer(name, RATE, momentum=0.9 if name in ("sgd", "rmsprop") else 0.0)
    settings = Training(epochs, 16, optimizer, **training)
    return Job(
        key="job",
        head=head,
        settings=settings,
        epochs=settings.all_epochs,
        train=np.arange(8, IMAGES),
        validation=None,
        order_seed=3,
        init_seed=3,
        dropout_seed=3,
    )


def names_of(network):
    return [layer.name for layer in network.layers]


def features_at(network, start, pixels):
    """Return what crosses the cut, image by image, as the trunk gives it."""
    crossed = trunk_model(network, start)(MINUS_ONE_TO_ONE.apply(pixels), training=False)
    arrays = [np.asarray(one) for one in (crossed if isinstance(crossed, list) else [crossed])]
    return np.concatenate([array.reshape(len(pixels), -1) for array in arrays], axis=1)


def train_from_cut(network, pixels, labels, job):
    """Return the fit and the probabilities of all images, trained on features that cross the job's lowest cut."""
    start = min(stage.cut for stage in stages(job.settings, job.epochs, names_of(network)))
    features = features_at(network, start, pixels)
    tuner = FineTuner(network, job.head, CLASSES, preprocessing=None, start=start)
    fit = tuner.fit(features, labels, job)
    return fit, softmax(tuner.logits(features, np.arange(IMAGES), fit))


def train_from_pixels(network, pixels, labels, job):
    """Return the fit and the probabilities of all images, trained from pixels."""
    tuner = FineTuner(network, job.head, CLASSES, preprocessing=MINUS_ONE_TO_ONE)
    fit = tuner.fit(pixels, labels, job)
    return fit, softmax(tuner.logits(pixels, np.arange(IMAGES), fit))


def with_settled_layers(network):
    """Return a copy whose batch normalisation can be told to use its moving statistics while it trains."""
    keras = keras_module()

    class Settled(keras.layers.BatchNormalization):
        settled = False

        def call(self, inputs, training=None, mask=None):
            return super().call(inputs, training=training and not self.settled)

    def copied(layer):
        normalization = isinstance(layer, keras.layers.BatchNormalization)
        return (Settled if normalization else type(layer)).from_config(layer.get_config())

    copy = keras.models.clone_model(network, clone_function=copied)
    copy.set_weights(network.get_weights())
    return copy


# On TensorFlow, Keras' loss takes the softmax of what went into ``activations.sigmoid``, not of what came out. Its own
# formula for probabilities (divide by the sum, then the logarithm), which other backends compute, needs a plain one.
OUTPUTS = {"softmax": "softmax", "sigmoid": lambda values: 1 / (1 + keras_module().ops.exp(-values))}


class PlainKeras:
    """Network and head in one functional model, its first layers frozen by ``trainable``, trained by ``fit``."""

    def __init__(self, network, job):
        keras, head = keras_module(), job.head
        self.job, self.network = job, with_settled_layers(network)
        values = keras.layers.GlobalAveragePooling2D()(self.network.output)
        dense = head.dense_layers(CLASSES)
        for number, layer in enumerate(dense, start=1):
            if layer.dropout:
                dropout = keras.layers.Dropout(layer.dropout, seed=0)
                values = dropout(values)
                dropout.seed_generator.state.assign([job.dropout_seed, 0])
            activation = OUTPUTS[head.output] if number == len(dense) else layer.activation
            regularizer = keras.regularizers.L2(layer.l2) if layer.l2 else None
            values = keras.layers.Dense(layer.units, activation=activation, kernel_regularizer=regularizer)(values)
        self.model = keras.Model(self.network.input, values)
        weights = initial_weights(head, inputs=self.network.output_shape[-1], classes=CLASSES, seed=job.init_seed)
        self.model.set_weights([*self.network.get_weights(), *weights])

    def fit(self, inputs, labels):
        """Train all phases and return the probabilities of all images."""
        settings, optimizer = self.job.settings, None
        for stage in stages(settings, self.job.epochs, names_of(self.network)):
            if optimizer is None or not stage.keeps_state:
                optimizer = self._optimizer(settings.optimizer)
                for layer in self.network.layers:
                    layer.trainable = True
                # built for all weights, so that one optimiser can serve every phase
                optimizer.build(self.model.trainable_variables)
            for number, layer in enumerate(self.network.layers):
                layer.trainable = number >= stage.cut
                layer.settled = stage.settled
            optimizer.learning_rate = stage.learning_rate
            loss = keras_module().losses.CategoricalCrossentropy(label_smoothing=settings.label_smoothing)
            # eagerly: tracing would take longer than these few steps
            self.model.compile(optimizer, loss, run_eagerly=True)
            self._fit_stage(inputs, labels, stage)
        return self.probabilities(inputs)

    def probabilities(self, inputs):
        """Return the outputs as the loss takes them: divided by their sum."""
        outputs = np.asarray(self.model(inputs, training=False))
        return outputs / outputs.sum(axis=1, keepdims=True)

    def _fit_stage(self, inputs, labels, stage):
        weights = class_weights(self.job.settings, labels[self.job.train], CLASSES)
        by_class = None if weights is None else dict(enumerate(map(float, weights)))
        for epoch in range(stage.first_epoch, stage.last_epoch + 1):
            rows = self.job.train[batch_order(self.job.order_seed, epoch, len(self.job.train))]
            options = {"batch_size": self.job.batch_size, "shuffle": False, "verbose": 0, "class_weight": by_class}
            self.model.fit(inputs[rows], np.eye(CLASSES)[labels[rows]], **options)

    def _optimizer(self, settings):
        optimizers = keras_module().optimizers
        return {
            "adam": lambda: optimizers.Adam(RATE),
            "adamw": lambda: optimizers.AdamW(RATE, weight_decay=0.004),
            "sgd": lambda: optimizers.SGD(RATE, momentum=0.9),
            "rmsprop": lambda: optimizers.RMSprop(RATE, rho=0.9, momentum=0.9),
        }[settings.name]()


def assert_same_as_keras(network, pixels, labels, job, train=train_from_cut):
    """Train in both ways; what comes out is equal, and far from what was there before."""
    inputs = MINUS_ONE_TO_ONE.apply(pixels)
    plain = PlainKeras(network, job)
    before = plain.probabilities(inputs)
    expected = plain.fit(inputs, labels)
    _, probabilities = train(network, pixels, labels, job)
    assert probabilities == pytest.approx(expected, abs=1e-3)
    assert abs(before - expected).max() > 0.01


def test_the_tail_of_a_resnet_trains_as_in_the_whole_model(pixels, labels):
    network = known_network("resnet50")
    assert len(crossing_shapes(network, len(network.layers) - 9)) == 2
    job = make_job(trainable="last 9", batch_normalization="inference")
    assert_same_as_keras(network, pixels, labels, job)


def test_head_then_tail_of_a_mobilenet_trains_as_in_the_whole_model(pixels, labels):
    network = known_network("mobilenet_v2")
    assert len(crossing_shapes(network, 130)) == 2
    phases = (Phase(2, "from 130", learning_rate=0.001),)
    assert_same_as_keras(network, pixels, labels, make_job(phases=phases))


@pytest.mark.parametrize("train", [train_from_cut, train_from_pixels])
@pytest.mark.parametrize("mode", ["training", "inference"])
def test_batch_normalization_behind_the_cut(pixels, labels, mode, train):
    job = make_job(trainable="from normalization_1", batch_normalization=mode)
    assert_same_as_keras(tiny_network(), pixels, labels, job, train)


@pytest.mark.parametrize(("name", "state"), [("adam", "reset"), ("adam", "keep"), ("sgd", "keep")])
def test_the_optimiser_forgets_or_goes_on_at_a_new_phase(pixels, labels, name, state):
    phases = (
        Phase(2, "from normalization_2", optimizer_state=state, batch_normalization="inference"),
        Phase(1, "from convolution_1", learning_rate=0.002, optimizer_state=state),
        Phase(1, "from convolution_1", learning_rate=0.001, optimizer_state=state),
    )
    assert_same_as_keras(tiny_network(), pixels, labels, make_job(phases=phases, name=name))


def test_keeping_the_state_is_not_resetting_it(pixels, labels):
    results = {}
    for state in ("reset", "keep"):
        job = make_job(phases=(Phase(2, "from normalization_2", optimizer_state=state),))
        _, results[state] = train_from_cut(tiny_network(), pixels, labels, job)
    assert abs(results["reset"] - results["keep"]).max() > 1e-3


@pytest.mark.parametrize("name", ["adamw", "rmsprop"])
def test_other_optimisers(pixels, labels, name):
    job = make_job(trainable="from convolution_2", name=name)
    assert_same_as_keras(tiny_network(), pixels, labels, job)


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_label_smoothing_and_class_weights(pixels, labels, output):
    uneven = np.where(labels == 2, 0, labels)
    uneven[::8] = 2
    head = Head(layers=("dense 6 tanh",), output=output, l2=0.01)
    job = make_job(head, trainable="from convolution_2", label_smoothing=0.2, class_weights="balanced")
    assert_same_as_keras(tiny_network(), pixels, uneven, job)


def test_regularisers_of_the_backbone_count(pixels, labels):
    job = make_job(trainable="from convolution_1")
    assert_same_as_keras(tiny_network(l2=0.1), pixels, labels, job, train_from_pixels)
    fit, _ = train_from_cut(tiny_network(l2=0.1), pixels, labels, dataclasses.replace(job, validation=np.arange(8)))
    kernels = [array for array in fit.backbone_weights if array.ndim == 4]
    assert len(kernels) == 2
    without = measure(fit.validation_logits, labels[:8]).loss + penalty(HEAD, fit.weights)
    with_penalty = without + 0.1 * sum(float((kernel**2).sum()) for kernel in kernels)
    assert fit.history[fit.best_epoch - 1].validation.loss == pytest.approx(with_penalty, rel=1e-5)


def statistics_and_others(network, start, arrays):
    """Return (variable, array) of the moving statistics behind a cut, and of all other weights there."""
    pairs = list(zip(tail_variables(network, start), arrays, strict=True))
    moving = [pair for pair in pairs if pair[0].name.startswith("moving_")]
    return moving, [pair for pair in pairs if not pair[0].name.startswith("moving_")]


@pytest.mark.parametrize(("mode", "moves"), [("inference", False), ("training", True)])
@pytest.mark.parametrize("train", [train_from_cut, train_from_pixels])
def test_moving_statistics_move_in_training_mode_alone(pixels, labels, mode, moves, train):
    network, at_first = tiny_network(), tiny_network()
    cut = names_of(network).index("normalization_1")
    start = cut if train is train_from_cut else 0
    fit, _ = train(network, pixels, labels, make_job(trainable=f"from {cut}", batch_normalization=mode, epochs=1))
    before = dict(zip((one.path for one in tail_variables(at_first, 0)), at_first.get_weights(), strict=True))
    behind = {one.path for one in tail_variables(network, cut)}
    moving, others = statistics_and_others(network, start, fit.backbone_weights)
    assert len(moving) == (4 if start else 6)
    for variable, array in moving:
        same = np.array_equal(array, before[variable.path])
        assert same != (moves and variable.path in behind), variable.path
    for variable, array in others:
        same = np.array_equal(array, before[variable.path])
        assert same != (variable.path in behind), variable.path


def test_dropout_before_the_cut_is_off_and_behind_it_draws_the_same(pixels, labels):
    """What is frozen runs as in inference, so that training from pixels and from the cut are the same."""
    job = make_job(trainable="from convolution_1", batch_normalization="inference")
    _, from_cut = train_from_cut(tiny_network(dropout=0.4), pixels, labels, job)
    _, from_pixels = train_from_pixels(tiny_network(dropout=0.4), pixels, labels, job)
    _, without = train_from_cut(tiny_network(), pixels, labels, job)
    assert from_cut == pytest.approx(from_pixels, abs=1e-4)
    assert abs(from_cut - without).max() > 1e-3
