"""Heads of one shape that see the same batches, computed side by side as one wide network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headstart import recipe
from headstart.training.heads import SMALLEST_SIGMOID, Floats, activate, layer_sizes, output_logits

# Gradients take no probability to be below exp(-27) = 2e-12: squares of smaller ones are subnormal numbers, with which
# a processor is several times slower, and no update would show them.
LOWEST_LOGIT = -27.0
# Logits up to here are clipped sigmoids, through which no gradient passes; a little above, as logarithms are rounded.
CLIPPED_LOGIT = np.log(SMALLEST_SIGMOID) * np.float32(1 - 1e-6)


class HeadStack:
    """The weights of many heads of one shape, and their forward and backward pass.

    A layer of all heads is one matrix ``(inputs + 1, heads * units)``: the heads' kernels side by side, their biases as
    the last row. The first layer of all heads is then one matrix product; later layers are one product per head.
    ``drops`` tells whether any layer drops units while it trains, ``regularized`` whether any has an L2 penalty.

    Args:
        weights: the initial weights of each head (kernel, bias, ...).
        capacity: most rows that go forward at once.
        batch: most rows that go backward.
    """

    def __init__(self, head: recipe.Head, weights: Sequence[Sequence[Floats]], capacity: int, batch: int) -> None:
        self.heads, self.capacity, self._head = len(weights), capacity, head
        inputs, self.classes = weights[0][0].shape[0], len(weights[0][-1])
        self.layers = head.dense_layers(self.classes)
        self.drops, self.regularized = any(one.dropout for one in self.layers), any(one.l2 for one in self.layers)
        self.sizes = layer_sizes(head, inputs, self.classes)
        self.values = [np.empty((rows + 1, self.heads * units), np.float32) for rows, units in self.sizes]
        for layer, values in enumerate(self.values):
            np.concatenate([one[2 * layer] for one in weights], axis=1, out=values[:-1])
            np.concatenate([one[2 * layer + 1] for one in weights], out=values[-1])
        self.gradients = [np.empty_like(values) for values in self.values]
        self._outputs = [np.empty((capacity, values.shape[1]), np.float32) for values in self.values]
        self._deltas = [np.empty((batch, values.shape[1]), np.float32) for values in self.values]
        self._masks = [
            np.empty((batch if layer.dropout else 0, rows), np.float32)
            for layer, (rows, _) in zip(self.layers, self.sizes, strict=True)
        ]

    def forward(self, inputs: Floats, values: Sequence[Floats], dropout: np.random.Generator | None = None) -> Floats:
        """Return the logits ``(rows, heads, classes)`` of inputs ``(rows, features)``; a buffer that is used again.

        With ``dropout``, units are dropped, the same in every head; ``inputs`` too, in place, when the recipe says so.
        """
        rows = len(inputs)
        for number, (layer, matrix) in enumerate(zip(self.layers, values, strict=True)):
            output = self._outputs[number][:rows]
            before = inputs if number == 0 else self._outputs[number - 1][:rows]
            if dropout is not None and layer.dropout:
                by_head = before.reshape(rows, -1, self.sizes[number][0])
                by_head *= self._draw(number, rows, dropout)[:, None]
            if number == 0:
                np.matmul(inputs, matrix[:-1], out=output)
            else:
                np.matmul(self._split(before), self._split(matrix[:-1]), out=self._split(output))
            output += matrix[-1]
            activate(layer.activation, output)
        return output_logits(self._head, output.reshape(rows, self.heads, self.classes))

    def backward(self, inputs: Floats, logits: Floats, targets: Floats, weights: Floats | None = None) -> None:
        """Fill ``gradients`` for the batch that went forward last, with dropout if any layer has it.

        Args:
            inputs: as they were left by ``forward``.
            logits: what it gave ``(rows, heads, classes)``.
            targets: the probabilities aimed at ``(rows, classes)``; rows sum to 1.
            weights: of every row in the loss ``(rows,)``, or None.
        """
        rows = len(inputs)
        self._output_delta(logits, targets, weights)
        for layer in range(len(self.sizes) - 1, 0, -1):
            delta, hidden = self._deltas[layer][:rows], self._outputs[layer - 1][:rows]
            gradient = self.gradients[layer]
            np.matmul(self._split(hidden).transpose(0, 2, 1), self._split(delta), out=self._split(gradient[:-1]))
            np.add.reduce(delta, axis=0, out=gradient[-1])
            kernel = self._split(self.values[layer][:-1])
            before = self._deltas[layer - 1][:rows]
            np.matmul(self._split(delta), kernel.transpose(0, 2, 1), out=self._split(before))
            self._pass_back(layer, before, hidden)
        np.matmul(inputs.T, self._deltas[0][:rows], out=self.gradients[0][:-1])
        np.add.reduce(self._deltas[0][:rows], axis=0, out=self.gradients[0][-1])

    def _pass_back(self, layer: int, delta: Floats, hidden: Floats) -> None:
        """Take a delta from the inputs of a layer back through its dropout and the activation before it, in place.

        ``hidden`` are the inputs after dropout; where they were dropped, the mask leaves nothing of the delta.
        """
        activation, dropout = self.layers[layer - 1].activation, self.layers[layer].dropout
        if dropout:
            by_head = delta.reshape(len(delta), self.heads, -1)
            by_head *= self._masks[layer][: len(delta), None]
        if activation == "relu":
            delta *= hidden > 0
        elif activation == "tanh":
            delta *= 1 - np.square(hidden * np.float32(1 - dropout))

    def _output_delta(self, logits: Floats, targets: Floats, weights: Floats | None) -> None:
        """Set the last delta to the gradient of the mean cross-entropy by what the last layer gives.

        That is (softmax - target) / rows, times 1 - sigmoid where the logits are logarithms of a sigmoid.
        """
        rows = len(logits)
        delta = self._deltas[-1][:rows].reshape(logits.shape)
        np.subtract(logits, logits.max(axis=2, keepdims=True), out=delta)
        np.maximum(delta, LOWEST_LOGIT, out=delta)
        np.exp(delta, out=delta)
        delta /= delta.sum(axis=2, keepdims=True)
        delta -= targets[:, None]
        if self._head.output == "sigmoid":
            delta *= np.where(logits > CLIPPED_LOGIT, -np.expm1(logits), 0)
        delta *= 1 / rows
        if weights is not None:
            delta *= weights[:, None, None]

    def _draw(self, layer: int, rows: int, dropout: np.random.Generator) -> Floats:
        """Return factors ``(rows, inputs of the layer)``: 0, or 1 / (1 - dropout) with that probability."""
        mask, keep = self._masks[layer][:rows], 1 - self.layers[layer].dropout
        dropout.random(dtype=np.float32, out=mask)
        np.less(mask, keep, out=mask)
        mask /= keep
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

    def penalties(self, values: Sequence[Floats]) -> NDArray[np.float64]:
        """Return each head's L2 penalty ``(heads,)``: the sum over its layers of L2 factor times squared kernel."""
        parts = [
            layer.l2 * np.einsum("ij,ij->j", matrix[:-1], matrix[:-1])
            for layer, matrix in zip(self.layers, values, strict=True)
            if layer.l2
        ]
        return self.per_head(parts)

    def per_head(self, columns: Sequence[Floats]) -> NDArray[np.float64]:
        """Add up the columns of every layer by head: arrays ``(heads * units,)`` to ``(heads,)``."""
        sums = [layer.reshape(self.heads, -1).sum(axis=1, dtype=np.float64) for layer in columns]
        return np.sum(sums, axis=0, initial=0.0) if sums else np.zeros(self.heads)
