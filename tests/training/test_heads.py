import numpy as np
import pytest

from headstart.recipe import Head
from headstart.training.heads import (
    batch_order,
    describe,
    forward,
    initial_weights,
    parameter_count,
    penalty,
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
    kernel, bias, last, last_bias = initial_weights(Head(dense=(300,)), inputs=500, classes=7, seed=1)
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


def test_forward_is_relu_between_dense_layers():
    weights = (
        np.array([[1.0, -1.0]], np.float32),
        np.array([0.5, 0.0], np.float32),
        np.array([[2.0, 0.0], [0.0, 3.0]], np.float32),
        np.array([0.0, 1.0], np.float32),
    )
    features = np.array([[1.0], [-2.0]], np.float32)
    assert np.array_equal(forward(weights, features), [[3.0, 1.0], [0.0, 7.0]])


def test_softmax_sums_to_one_also_for_huge_logits():
    probabilities = softmax(np.array([[1000.0, 1000.0], [0.0, np.log(3.0)]]))
    assert probabilities == pytest.approx(np.array([[0.5, 0.5], [0.25, 0.75]]))


def test_parameter_count_of_reported_heads():
    assert parameter_count(Head(), inputs=1024, classes=5) == 5_125
    assert parameter_count(Head(dense=(100, 50)), inputs=2048, classes=5) == 210_205
    assert parameter_count(Head(dense=(512, 128)), inputs=2048, classes=5) == 1_115_397


def test_penalty_counts_kernels_and_not_biases():
    weights = [np.full((2, 2), 2, np.float32), np.full(2, 9, np.float32), np.full((2, 1), 3, np.float32), np.ones(1)]
    assert penalty(weights, 0.5) == pytest.approx(0.5 * (4 * 4 + 2 * 9))
    assert penalty(weights, 0.0) == 0.0


def test_describe_names_layers_in_order():
    assert describe(Head(), 5) == "average pooling, softmax 5"
    assert describe(Head(dropout=0.2), 5) == "average pooling, dropout 0.2, softmax 5"
    assert describe(Head(dense=(128,), dropout=0.2), 5) == "average pooling, dense 128, dropout 0.2, softmax 5"
    assert describe(Head(dense=(8, 4), l2=0.01), 2) == "average pooling, dense 8, dense 4, softmax 2, L2 0.01"


@pytest.mark.parametrize(("classes", "k"), [(2, None), (3, 2), (4, 3), (5, 3), (6, 5), (1000, 5)])
def test_top_k_size_is_the_largest_below_the_number_of_classes(classes, k):
    assert top_k_size(classes) == k
