import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from headstart.backbones.engine import keras_module
from headstart.recipe import Head, Training
from headstart.training.heads import (
    batch_order,
    class_weights,
    describe,
    forward,
    initial_weights,
    layer_sizes,
    output_logits,
    parameter_count,
    penalty,
    smoothed_targets,
    softmax,
    top_k_size,
)


def test_batch_order_is_a_permutation_that_seed_and_epoch_decide():
    order = batch_order(5, 2, 100)
    assert order.dtype == np.int64
    assert sorted(order) == list(range(100))
    assert np.array_equal(order, batch_order(5, 2, 100))
    assert not np.array_equal(order, batch_order(5, 3, 100))
    assert not np.array_equal(order, batch_order(6, 2, 100))


def test_initial_weights_are_glorot_uniform_with_zero_biases():
    kernel, bias, last, last_bias = initial_weights(Head(layers=("dense 300",)), inputs=500, classes=7, seed=1)
    assert [part.shape for part in (kernel, bias, last, last_bias)] == [(500, 300), (300,), (300, 7), (7,)]
    assert all(part.dtype == np.float32 for part in (kernel, bias, last, last_bias))
    limit = np.sqrt(6 / 800)
    assert np.abs(kernel).max() <= limit
    assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.01)  # of a uniform distribution
    assert abs(kernel.mean()) < limit / 100
    assert not bias.any()
    assert not last_bias.any()


def test_initial_weights_depend_on_the_seed_alone():
    first, again, other = (initial_weights(Head(), inputs=9, classes=3, seed=seed)[0] for seed in (4, 4, 5))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


WEIGHTS = (
    np.array([[1.0, -1.0]], np.float32),
    np.array([0.5, 0.0], np.float32),
    np.array([[2.0, 0.0], [0.0, 3.0]], np.float32),
    np.array([0.0, 1.0], np.float32),
)
FEATURES = np.array([[1.0], [-2.0]], np.float32)


def test_forward_is_relu_between_dense_layers_unless_told():
    assert np.array_equal(forward(Head(layers=("dense 2",)), WEIGHTS, FEATURES), [[3, 1], [0, 7]])
    assert np.array_equal(forward(Head(layers=("dense 2 linear",)), WEIGHTS, FEATURES), [[3, -2], [-3, 7]])
    by_hand = np.tanh([[1.5, -1.0], [-1.5, 2.0]]) * [2, 3] + [0, 1]
    assert forward(Head(layers=("dense 2 tanh",)), WEIGHTS, FEATURES) == pytest.approx(by_hand, rel=1e-6)


def test_dropout_does_not_act_in_forward_and_features_stay():
    before, head = FEATURES.copy(), Head(layers=("dropout 0.5", "dense 2", "dropout 0.9"))
    assert np.array_equal(forward(head, WEIGHTS, FEATURES), [[3, 1], [0, 7]])
    assert np.array_equal(
        forward(Head(output="sigmoid"), WEIGHTS[:2], FEATURES), output_sigmoid([[1.5, -1], [-1.5, 2]])
    )
    assert np.array_equal(FEATURES, before)


def output_sigmoid(values):
    return output_logits(Head(output="sigmoid"), np.array(values, np.float32))


@pytest.mark.parametrize("output", ["softmax", "logistic"])
def test_logits_of_a_softmax_are_what_the_last_layer_gives(output):
    values = np.array([[3.0, -100.0]], np.float32)
    assert output_logits(Head(output=output), values) is values


def test_logits_of_a_sigmoid_give_the_loss_of_keras():
    keras = keras_module()
    values = np.random.default_rng(0).normal(scale=12, size=(200, 5)).astype(np.float32)
    values[:2] = [[-1e4, 1e4, 0, 5, -5], [-200, -150, -100, -90, -17]]
    labels = np.random.default_rng(1).integers(0, 5, 200)
    # times one: on TensorFlow, the loss would find the values before the sigmoid and take their softmax instead
    outputs = keras.ops.sigmoid(values) * 1
    expected = keras.ops.convert_to_numpy(keras.losses.sparse_categorical_crossentropy(labels, outputs))
    logits = output_sigmoid(values)
    assert logits.dtype == np.float32
    assert -np.log(softmax(logits.astype(np.float64)))[np.arange(200), labels] == pytest.approx(expected, abs=1e-4)
    moderate = np.abs(values).max(axis=1) < 15
    normalised = keras.ops.convert_to_numpy(outputs)[moderate]
    normalised /= normalised.sum(axis=1, keepdims=True)
    assert softmax(logits)[moderate] == pytest.approx(normalised, abs=1e-6)


def test_softmax_sums_to_one_also_for_huge_logits():
    probabilities = softmax(np.array([[1000.0, 1000.0], [0.0, np.log(3.0)]]))
    assert probabilities == pytest.approx(np.array([[0.5, 0.5], [0.25, 0.75]]))


def test_parameter_count_of_reported_heads():
    assert parameter_count(Head(), inputs=1024, classes=5) == 5_125
    assert parameter_count(Head(layers=("dense 100", "dense 50")), inputs=2048, classes=5) == 210_205
    regularized = Head(layers=("dense 512 l2 0.01", "dropout 0.5", "dense 128 tanh", "dropout 0.2"), l2=0.1)
    assert parameter_count(regularized, inputs=2048, classes=5) == 1_115_397


def test_layer_sizes_leave_out_dropout():
    head = Head(layers=("dropout 0.1", "dense 7", "dropout 0.5", "dense 3 linear"))
    assert layer_sizes(head, 10, 4) == ((10, 7), (7, 3), (3, 4))


def test_penalty_counts_kernels_by_layer_and_not_biases():
    head = Head(layers=("dense 2 l2 0.5",), l2=0.25)
    weights = [np.full((2, 2), 2, np.float32), np.full(2, 9, np.float32), np.full((2, 1), 3, np.float32), np.ones(1)]
    assert penalty(head, weights) == pytest.approx(0.5 * 4 * 4 + 0.25 * 2 * 9)
    assert penalty(Head(layers=("dense 2",)), weights) == 0.0


def test_balanced_class_weights_are_those_of_scikit_learn():
    labels, settings = np.array([0, 0, 0, 2, 2, 4]), Training(class_weights="balanced")
    weights = class_weights(settings, labels, 5)
    assert weights.dtype == np.float32
    assert weights == pytest.approx([6 / 15, 0, 6 / 10, 0, 6 / 5])
    even = np.array([0, 0, 0, 1, 2, 2])
    assert class_weights(settings, even, 3) == pytest.approx(
        compute_class_weight("balanced", classes=np.arange(3), y=even)
    )
    assert class_weights(Training(), labels, 5) is None


def test_targets_are_smoothed_as_by_keras():
    keras = keras_module()
    probabilities = softmax(np.random.default_rng(2).normal(size=(4, 4))).astype(np.float32)
    expected = keras.losses.categorical_crossentropy(np.eye(4), probabilities, label_smoothing=0.2)
    targets = smoothed_targets(Training(label_smoothing=0.2), 4)
    assert -(targets * np.log(probabilities)).sum(axis=1) == pytest.approx(keras.ops.convert_to_numpy(expected))
    assert np.array_equal(smoothed_targets(Training(), 3), np.eye(3))


def test_describe_names_layers_in_order():
    assert describe(Head(), 5) == "average pooling, softmax 5"
    head = Head("max", ("dropout 0.3", "dense 64 tanh l2 0.01", "dropout 0.1"), output="sigmoid", l2=0.5)
    assert describe(head, 5) == "max pooling, dropout 0.3, dense 64 tanh l2 0.01, dropout 0.1, sigmoid 5 l2 0.5"
    assert describe(Head("flatten", output="logistic"), 2) == "flatten pooling, logistic 2"


@pytest.mark.parametrize(("classes", "k"), [(2, None), (3, 2), (4, 3), (5, 3), (6, 5), (1000, 5)])
def test_top_k_size_is_the_largest_below_the_number_of_classes(classes, k):
    assert top_k_size(classes) == k
