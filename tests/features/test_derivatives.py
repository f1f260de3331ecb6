"""Every derivative against differences of the operation itself, in float64."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from headstart.features.derivatives import RULES, Operation

STEP = 1e-6
RANDOM = np.random.default_rng(0)
# away from each other and from corners, so that differences of 1e-6 meet none
VALUES = RANDOM.permutation(24).reshape(2, 3, 4) / 7 - 1.55
ABOVE = VALUES + 3


@dataclass(frozen=True)
class Case:
    """An operation as NumPy computes it, with its inputs."""

    kind: str
    compute: Any
    inputs: tuple[np.ndarray, ...]
    attributes: dict[str, Any] = field(default_factory=dict)

    def __str__(self):
        return f"{self.kind}-{'-'.join('x'.join(map(str, one.shape)) for one in self.inputs)}"


def softmax(values):
    powers = np.exp(values)
    return powers / powers.sum(axis=1, keepdims=True)


def axes(*numbers):
    return np.array(numbers, np.int64)


CASES = [
    Case("Add", np.add, (VALUES, RANDOM.normal(size=4))),
    Case("Add", np.add, (RANDOM.normal(size=(3, 1)), VALUES)),
    Case("Subtract", np.subtract, (VALUES, RANDOM.normal(size=(2, 1, 4)))),
    Case("Multiply", np.multiply, (VALUES, RANDOM.normal(size=(1, 3, 1)))),
    Case("Divide", np.divide, (VALUES, RANDOM.uniform(1, 2, (3, 4)))),
    Case("Maximum", np.maximum, (VALUES, np.array(0.1))),
    Case("MatMul", np.matmul, (VALUES[0], RANDOM.normal(size=(4, 5)))),
    Case("MatMul", np.matmul, (VALUES, RANDOM.normal(size=(4, 5)))),
    Case(
        "MatMul",
        lambda a, b: a.T @ b.T,
        (VALUES[0], RANDOM.normal(size=(5, 3))),
        {"transpose_a": True, "transpose_b": True},
    ),
    Case("Relu", lambda x: np.maximum(x, 0), (VALUES,)),
    Case("Tanh", np.tanh, (VALUES,)),
    Case("Sigmoid", lambda x: 1 / (1 + np.exp(-x)), (VALUES,)),
    Case("Clamp", lambda x: np.clip(x, -0.6, 0.8), (VALUES,), {"min": -0.6, "max": 0.8}),
    Case("Log", np.log, (ABOVE,)),
    Case("Softmax", softmax, (VALUES,), {"axis": 1}),
    Case("ReduceSum", lambda x, a: x.sum(axis=1), (VALUES, axes(1))),
    Case("ReduceMean", lambda x, a: x.mean(axis=(0, 2)), (VALUES, axes(0, -1))),
    Case("ReduceMean", lambda x, a: x.mean(axis=1, keepdims=True), (VALUES, axes(1)), {"keep_dims": True}),
    Case("ReduceMax", lambda x, a: x.max(axis=(1, 2)), (VALUES, axes(1, 2))),
    Case("ReduceMax", lambda x, a: x.max(axis=2, keepdims=True), (VALUES, axes(2)), {"keep_dims": True}),
    Case("Reshape", lambda x, shape: x.reshape(2, 12), (VALUES, axes(0, -1))),
    Case("Squeeze", lambda x, a: x[0], (VALUES[:1], axes(0))),
    Case("Unsqueeze", lambda x, a: x[None], (VALUES, axes(0))),
    Case("Transpose", lambda x, order: x.transpose(2, 0, 1), (VALUES, axes(2, 0, 1))),
    Case("Concat", lambda *x: np.concatenate(x, axis=1), (VALUES, ABOVE[:, :2], VALUES), {"axis": 1}),
]


def test_every_rule_has_a_case():
    assert {case.kind for case in CASES} == set(RULES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_derivative_is_the_limit_of_differences(case):
    output = case.compute(*case.inputs)
    weights = np.random.default_rng(1).normal(size=output.shape)
    operation = Operation(case.attributes, case.inputs, output)
    rule = RULES[case.kind]
    for place in range(len(case.inputs) if rule.carriers is None else rule.carriers):
        expected = np.zeros(case.inputs[place].shape)
        for index in np.ndindex(expected.shape):
            sums = [(weights * case.compute(*moved(case.inputs, place, index, step))).sum() for step in (STEP, -STEP)]
            expected[index] = (sums[0] - sums[1]) / (2 * STEP)
        found = rule.derivative(operation, weights, place)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def moved(inputs, place, index, step):
    changed = [one.copy() for one in inputs]
    changed[place][index] += step
    return changed


def test_equal_maxima_share_the_gradient():
    values = np.array([[3.0, 3.0, 1.0]])
    operation = Operation({}, (values, axes(1)), values.max(axis=1))
    assert RULES["ReduceMax"].derivative(operation, np.array([6.0]), 0).tolist() == [[3.0, 3.0, 0.0]]
    both = Operation({}, (values, values), values)
    assert [RULES["Maximum"].derivative(both, values, place).tolist() for place in (0, 1)] == [[[3, 3, 1]], [[0, 0, 0]]]


def test_a_class_that_has_nearly_everything_still_has_a_slope():
    logits = np.array([[20.0, 0.0, 2.0]], np.float32)
    operation = Operation({"axis": 1}, (logits,), np.array([[1, 0, 0]], np.float32))
    slope = RULES["Softmax"].derivative(operation, np.array([[1.0, 0.0, 0.0]]), 0)
    # the first one lacks 1.7e-8, less than float32 can tell from 1
    assert slope[0] == pytest.approx([np.exp(-20) + np.exp(-18), -np.exp(-20), -np.exp(-18)], rel=1e-6)


def test_a_kernel_keeps_its_precision():
    kernel = np.ones((4, 2), np.float32)
    operation = Operation({}, (np.ones((3, 4), np.float32), kernel), np.ones((3, 2), np.float32))
    assert RULES["MatMul"].derivative(operation, np.ones((3, 2)), 0).dtype == np.float32
