"""The derivatives of the operations of a head: what the change of an output asks of each input. NumPy alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation of a graph with the numbers that went in and came out.

    Attributes:
        attributes: OpenVINO's names and values, such as ``keep_dims``.
        inputs: values and settings, in OpenVINO's order.
    """

    attributes: Mapping[str, Any]
    inputs: tuple[NDArray[Any], ...]
    output: Floats


Derivative = Callable[[Operation, Floats, int], Floats]
"""Takes an operation, the gradient at its output and the place of an input; returns the gradient at that input."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How to go back over one kind of operation.

    Attributes:
        carriers: how many of the inputs, from the first on, carry values; None: all.
        settings: how many inputs after them must be known constants, such as axes.
    """

    derivative: Derivative
    carriers: int | None = 1
    settings: int = 0


def _summed(gradient: Floats, shape: tuple[int, ...]) -> Floats:
    """Return the gradient at an input that was broadcast: summed over all places to which each value went."""
    extra = gradient.ndim - len(shape)
    stretched = [extra + axis for axis, side in enumerate(shape) if side == 1 and gradient.shape[extra + axis] != 1]
    total: Floats = gradient.sum(axis=(*range(extra), *stretched), keepdims=True)
    return total.reshape(shape)


def _add(operation: Operation, gradient: Floats, place: int) -> Floats:
    return _summed(gradient, operation.inputs[place].shape)


def _subtract(operation: Operation, gradient: Floats, place: int) -> Floats:
    return _summed(-gradient if place else gradient, operation.inputs[place].shape)


def _multiply(operation: Operation, gradient: Floats, place: int) -> Floats:
    return _summed(gradient * operation.inputs[1 - place], operation.inputs[place].shape)


def _divide(operation: Operation, gradient: Floats, place: int) -> Floats:
    over, under = operation.inputs[:2]
    slope = -over / np.square(under) if place else 1 / under
    return _summed(gradient * slope, operation.inputs[place].shape)


def _maximum(operation: Operation, gradient: Floats, place: int) -> Floats:
    """Where both are equal, the first one counts."""
    first, second = operation.inputs[:2]
    chosen = second > first if place else first >= second
    return _summed(gradient * chosen, operation.inputs[place].shape)


def _matmul(operation: Operation, gradient: Floats, place: int) -> Floats:
    turned = [bool(operation.attributes.get(name)) for name in ("transpose_a", "transpose_b")]
    first, second = (_turned(*pair) for pair in zip(operation.inputs[:2], turned, strict=True))
    # in the weights' own precision: a copy of a large kernel in float64 would cost more than everything else
    values = gradient.astype(second.dtype, copy=False)
    found = values @ _turned(second, True) if place == 0 else _turned(first, True) @ values
    return _summed(_turned(found, turned[place]), operation.inputs[place].shape)


def _turned(matrix: Floats, turn: bool) -> Floats:
    return np.swapaxes(matrix, -1, -2) if turn else matrix


def _relu(operation: Operation, gradient: Floats, place: int) -> Floats:
    return np.where(operation.output > 0, gradient, 0)


def _tanh(operation: Operation, gradient: Floats, place: int) -> Floats:
    slope: Floats = 1 - np.square(operation.output)
    return gradient * slope


def _sigmoid(operation: Operation, gradient: Floats, place: int) -> Floats:
    slope: Floats = operation.output * (1 - operation.output)
    return gradient * slope


def _clamp(operation: Operation, gradient: Floats, place: int) -> Floats:
    values = operation.inputs[0]
    inside = (values >= operation.attributes["min"]) & (values <= operation.attributes["max"])
    return np.where(inside, gradient, 0)


def _log(operation: Operation, gradient: Floats, place: int) -> Floats:
    found: Floats = gradient / operation.inputs[0]
    return found


def _softmax(operation: Operation, gradient: Floats, place: int) -> Floats:
    """In float64 from the input: where one class has nearly everything, float32 would lose how much it lacks."""
    axis = int(operation.attributes["axis"])
    values = operation.inputs[0].astype(np.float64)
    powers = np.exp(values - values.max(axis=axis, keepdims=True))
    shares = powers / powers.sum(axis=axis, keepdims=True)
    found: Floats = shares * (gradient - (gradient * shares).sum(axis=axis, keepdims=True))
    return found


def _reduce_sum(operation: Operation, gradient: Floats, place: int) -> Floats:
    return np.broadcast_to(_kept(operation, gradient), operation.inputs[0].shape)


def _reduce_mean(operation: Operation, gradient: Floats, place: int) -> Floats:
    places = operation.inputs[0].size / max(operation.output.size, 1)
    return np.broadcast_to(_kept(operation, gradient) / places, operation.inputs[0].shape)


def _reduce_max(operation: Operation, gradient: Floats, place: int) -> Floats:
    """Places that share the maximum share the gradient, as in TensorFlow."""
    largest = operation.inputs[0] == _kept(operation, operation.output)
    shares = _kept(operation, gradient) / largest.sum(axis=_axes(operation), keepdims=True)
    return np.where(largest, shares, 0)


def _kept(operation: Operation, values: Floats) -> Floats:
    """Return what has the shape of a reduction's output with the reduced axes of length 1."""
    if operation.attributes.get("keep_dims"):
        return values
    dimensions = operation.inputs[0].ndim
    return np.expand_dims(values, tuple(axis % dimensions for axis in _axes(operation)))


def _axes(operation: Operation) -> tuple[int, ...]:
    return tuple(int(axis) for axis in operation.inputs[1].reshape(-1))


def _reshape(operation: Operation, gradient: Floats, place: int) -> Floats:
    return gradient.reshape(operation.inputs[0].shape)


def _transpose(operation: Operation, gradient: Floats, place: int) -> Floats:
    return gradient.transpose(np.argsort(operation.inputs[1]))


def _concat(operation: Operation, gradient: Floats, place: int) -> Floats:
    axis = int(operation.attributes["axis"])
    ends = np.cumsum([values.shape[axis] for values in operation.inputs])
    return np.split(gradient, ends[:-1], axis=axis)[place]


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "Add": Rule(_add, 2),
        "Subtract": Rule(_subtract, 2),
        "Multiply": Rule(_multiply, 2),
        "Divide": Rule(_divide, 2),
        "Maximum": Rule(_maximum, 2),
        "MatMul": Rule(_matmul, 2),
        "Relu": Rule(_relu),
        "Tanh": Rule(_tanh),
        "Sigmoid": Rule(_sigmoid),
        "Clamp": Rule(_clamp),
        "Log": Rule(_log),
        "Softmax": Rule(_softmax),
        "ReduceSum": Rule(_reduce_sum, settings=1),
        "ReduceMean": Rule(_reduce_mean, settings=1),
        "ReduceMax": Rule(_reduce_max, settings=1),
        "Reshape": Rule(_reshape),
        "Squeeze": Rule(_reshape),
        "Unsqueeze": Rule(_reshape),
        "Transpose": Rule(_transpose, settings=1),
        "Concat": Rule(_concat, None),
    }
)
"""By OpenVINO's name of the operation."""
