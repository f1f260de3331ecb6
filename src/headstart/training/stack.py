"""Heads of one shape that see the same batches, computed side by side as one wide network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headstart import recipe
from headstart.training.heads import Floats, layer_sizes

# Gradients take no probability to be below exp(-27) = 2e-12: squares of smaller ones are subnormal numbers, with which
# a processor is several times slower, and no update would show them.
LOWEST_LOGIT = -27.0


class HeadStack:
    """The weights of many heads of one shape, and their forward and backward pass.

    A layer of all heads is one matrix ``(inputs + 1, heads * units)``: the heads' kernels side by side, their biases as
    the last row. The first layer of all heads is then one matrix product; later layers are one product per head.

    Args:
        weights: the initial weights of each head (kernel, bias, ...).
        capacity: most rows of a batch.
    """

    def __init__(self, head: recipe.Head, weights: Sequence[Sequence[Floats]], capacity: int) -> None:
        self.heads, self.capacity = len(weights), capacity
        inputs, self.classes = weights[0][0].shape[0], len(weights[0][-1])
        self._keep = 1 - head.dropout
        self._masks_inputs = head.dropout > 0 and not head.dense
        self.sizes = layer_sizes(head, inputs, self.classes)
        self.values = [np.empty((rows + 1, self.heads * units), np.float32) for rows, units in self.sizes]
        for layer, values in enumerate(self.values):
            np.concatenate([one[2 * layer] for one in weights], axis=1, out=values[:-1])
            np.concatenate([one[2 * layer + 1] for one in weights], out=values[-1])
        self.gradients = [np.empty_like(values) for values in self.values]
        self._outputs = [np.empty((capacity, values.shape[1]), np.float32) for values in self.values]
        self._deltas = [np.empty_like(output) for output in self._outputs]
        self._draws = [np.empty((capacity, rows), np.float32) for rows, _ in self.sizes] if head.dropout else []

    def forward(self, inputs: Floats, values: Sequence[Floats], dropout: np.random.Generator | None = None) -> Floats:
        """Return the logits ``(rows, heads, classes)`` of inputs ``(rows, features)``; a buffer that is used again.

        With ``dropout``, units are dropped, the same in every head; ``inputs`` too, in place, when no layer is hidden.
        """
        rows = len(inputs)
        dropout = dropout if self._keep < 1 else None
        if dropout is not None and self._masks_inputs:
            inputs *= self._mask(0, rows, dropout)
        for layer, matrix in enumerate(values):
            output = self._outputs[layer][:rows]
            if layer == 0:
                np.matmul(inputs, matrix[:-1], out=output)
            else:
                hidden = self._outputs[layer - 1][:rows]
                np.maximum(hidden, 0, out=hidden)
                if dropout is not None:
                    by_head = hidden.reshape(rows, self.heads, -1)
                    by_head *= self._mask(layer, rows, dropout)[:, None]
                np.matmul(self._split(hidden), self._split(matrix[:-1]), out=self._split(output))
            output += matrix[-1]
        return output.reshape(rows, self.heads, self.classes)

    def backward(self, inputs: Floats, targets: Floats) -> None:
        """Fill ``gradients`` for the batch that went forward last; ``targets`` are one-hot ``(rows, classes)``."""
        rows = len(inputs)
        self._output_delta(rows, targets)
        for layer in range(len(self.sizes) - 1, 0, -1):
            delta, hidden = self._deltas[layer][:rows], self._outputs[layer - 1][:rows]
            gradient = self.gradients[layer]
            before = self._deltas[layer - 1][:rows]
            np.matmul(self._split(hidden).transpose(0, 2, 1), self._split(delta), out=self._split(gradient[:-1]))
            np.add.reduce(delta, axis=0, out=gradient[-1])
            kernel = self._split(self.values[layer][:-1])
            np.matmul(self._split(delta), kernel.transpose(0, 2, 1), out=self._split(before))
            before *= hidden > 0
            if self._keep < 1:
                before /= self._keep
        np.matmul(inputs.T, self._deltas[0][:rows], out=self.gradients[0][:-1])
        np.add.reduce(self._deltas[0][:rows], axis=0, out=self.gradients[0][-1])

    def _output_delta(self, rows: int, targets: Floats) -> None:
        """Set the last delta to (softmax - one-hot) / rows: the gradient of the mean cross-entropy by the logits."""
        logits = self._outputs[-1][:rows].reshape(rows, self.heads, self.classes)
        delta = self._deltas[-1][:rows].reshape(logits.shape)
        np.subtract(logits, logits.max(axis=2, keepdims=True), out=delta)
        np.maximum(delta, LOWEST_LOGIT, out=delta)
        np.exp(delta, out=delta)
        delta /= delta.sum(axis=2, keepdims=True)
        delta -= targets[:, None]
        delta *= 1 / rows

    def _mask(self, layer: int, rows: int, dropout: np.random.Generator) -> Floats:
        """Return factors ``(rows, inputs of the layer)``: 0, or 1 / (1 - dropout) with that probability."""
        mask = self._draws[layer][:rows]
        dropout.random(dtype=np.float32, out=mask)
        np.less(mask, self._keep, out=mask)
        mask /= self._keep
        return mask

    def _split(self, matrix: Floats) -> Floats:
        """View ``(rows, heads * units)`` as ``(heads, rows, units)``."""
        return matrix.reshape(len(matrix), self.heads, -1).transpose(1, 0, 2)

    def one_head(self, values: Sequence[Floats], head: int) -> list[Floats]:
        """Return views of one head's layers ``(inputs + 1, units)``."""
        return [
            matrix[:, head * units : (head + 1) * units] for matrix, (_, units) in zip(values, self.sizes, strict=True)
        ]

    def weights_of(self, values: Sequence[Floats], head: int) -> tuple[Floats, ...]:
        """Return copies of one head's kernel, bias, kernel, bias, ..."""
        layers = self.one_head(values, head)
        return tuple(part.copy() for layer in layers for part in (layer[:-1], layer[-1]))

    def squares(self, values: Sequence[Floats]) -> NDArray[np.float64]:
        """Return each head's sum of squared kernels ``(heads,)``."""
        return self.per_head([np.einsum("ij,ij->j", matrix[:-1], matrix[:-1]) for matrix in values])

    def per_head(self, columns: Sequence[Floats]) -> NDArray[np.float64]:
        """Add up the columns of every layer by head: arrays ``(heads * units,)`` to ``(heads,)``."""
        sums = [layer.reshape(self.heads, -1).sum(axis=1, dtype=np.float64) for layer in columns]
        return np.asarray(np.sum(sums, axis=0))
