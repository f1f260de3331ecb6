"""Keras' Adam, AdamW, SGD and RMSprop on flat NumPy buffers, and the schedules of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart import recipe
from headstart.training.heads import Floats

# Five arrays of this many float32 values stay in a core's second-level cache while an update passes over them.
BLOCK_VALUES = 2**15
# Moments that fade out are set to zero before they become subnormal numbers, with which a processor is several times
# slower. What is set to zero is far below what an update can show.
SWEEP_STEPS, SMALLEST_FIRST, SMALLEST_SECOND = 32, 1e-20, 1e-30


def schedule_factor(schedule: recipe.Schedule, *, step: int, steps_per_epoch: int, epochs: int) -> float:
    """Return the factor on the learning rate at a step (from 0, counted over all epochs).

    ``inverse_time`` and ``cosine`` are ``keras.optimizers.schedules.InverseTimeDecay(rate, 1, factor)`` and
    ``CosineDecay(rate, steps_per_epoch * epochs)``.
    """
    if schedule.kind == "steps":
        return schedule.factor ** (step // steps_per_epoch // schedule.every)
    if schedule.kind == "inverse_time":
        return 1 / (1 + schedule.factor * step)
    if schedule.kind == "cosine":
        return 0.5 * (1 + math.cos(math.pi * min(1.0, step / (steps_per_epoch * epochs))))
    return 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One dense layer of many heads, and its gradient: ``(inputs + 1, columns)``, the bias as last row.

    ``rates`` is the learning rate of every column ``(columns,)``, ``l2`` the factor on the sum of squares of the kernel
    (not of the bias).
    """

    values: Floats
    gradient: Floats
    rates: Floats
    l2: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Some rows of a layer with all that an update touches; ``kernel_rows`` of them are not the bias."""

    values: Floats
    gradient: Floats
    first: Floats
    second: Floats
    rates: Floats
    scratch: Floats
    kernel_rows: int
    penalty: Floats
    l2: float


class Updater:
    """Applies gradients to layers in place.

    ``penalties`` holds, per layer, the L2 penalty of every column ``(columns,)`` before the last update.

    Args:
        settings: its ``learning_rate`` is not used: each column has its own.
    """

    def __init__(self, settings: recipe.Optimizer, layers: Sequence[Layer]) -> None:
        self._settings, self._steps = settings, 0
        self._adaptive, self._regularized = settings.name != "sgd", any(layer.l2 for layer in layers)
        self._apply = {"sgd": self._sgd, "rmsprop": self._rmsprop}.get(settings.name, self._adam)
        self.penalties = [np.zeros(layer.rates.shape, np.float32) for layer in layers]
        scratch = np.empty(max(_block_rows(layer) * len(layer.rates) for layer in layers), np.float32)
        self._blocks = [
            block
            for layer, penalty in zip(layers, self.penalties, strict=True)
            for block in _blocks(layer, penalty, scratch, with_second=self._adaptive)
        ]

    def step(self, factor: float) -> None:
        """Update all values once, with ``factor`` times every learning rate. The gradients are used up."""
        self._steps += 1
        scale = factor * self._scale()
        for penalty in self.penalties if self._regularized else ():
            penalty.fill(0)
        for block in self._blocks:
            if block.l2:
                self._regularize(block)
            if self._settings.name == "adamw":
                self._decay(block, factor)
            self._apply(block, scale)
        if self._steps % SWEEP_STEPS == 0:
            self._sweep()

    def _sweep(self) -> None:
        for block in self._blocks:
            np.copyto(block.first, 0, where=np.abs(block.first) < SMALLEST_FIRST)
            if self._adaptive:
                np.copyto(block.second, 0, where=block.second < SMALLEST_SECOND)

    def _regularize(self, block: _Block) -> None:
        """Add the gradient ``2 l2 kernel``, and ``l2 kernel^2`` to the column's penalty."""
        kernel, scratch = block.values[: block.kernel_rows], block.scratch[: block.kernel_rows]
        np.multiply(kernel, 2 * block.l2, out=scratch)
        block.gradient[: block.kernel_rows] += scratch
        np.multiply(scratch, kernel, out=scratch)
        block.penalty[:] += np.float32(0.5) * scratch.sum(axis=0)

    def _decay(self, block: _Block, factor: float) -> None:
        """AdamW's decay of all values, biases too, by weight decay times learning rate, before Adam's own update."""
        np.multiply(block.values, block.rates, out=block.scratch)
        np.multiply(block.scratch, factor * self._settings.weight_decay, out=block.scratch)
        np.subtract(block.values, block.scratch, out=block.values)

    def _scale(self) -> float:
        """Return what turns undamped sums of gradients into the optimiser's update.

        Moments lack their factors (1 - beta) or (1 - rho); for Adam, see Kingma and Ba 2015, section 2.
        """
        settings = self._settings
        if settings.name == "sgd":
            return 1.0
        if settings.name == "rmsprop":
            return 1 / math.sqrt(1 - settings.rho)
        corrected = math.sqrt(1 - settings.beta_2**self._steps) / (1 - settings.beta_1**self._steps)
        return corrected * (1 - settings.beta_1) / math.sqrt(1 - settings.beta_2)

    def _adam(self, block: _Block, scale: float) -> None:
        """Adam with moments that lack their factors (1 - beta), which ``scale`` makes good: two passes fewer."""
        gradient, scratch, settings = block.gradient, block.scratch, self._settings
        np.multiply(block.first, settings.beta_1, out=block.first)
        np.add(block.first, gradient, out=block.first)
        np.multiply(gradient, gradient, out=gradient)
        np.multiply(block.second, settings.beta_2, out=block.second)
        np.add(block.second, gradient, out=block.second)
        np.sqrt(block.second, out=scratch)
        np.add(scratch, settings.epsilon / math.sqrt(1 - settings.beta_2), out=scratch)
        np.divide(block.first, scratch, out=scratch)
        np.multiply(scratch, block.rates, out=scratch)
        np.multiply(scratch, scale, out=scratch)
        np.subtract(block.values, scratch, out=block.values)

    def _rmsprop(self, block: _Block, scale: float) -> None:
        """Keras' RMSprop: epsilon lies under the root, and the momentum gathers steps that hold the rate."""
        step, scratch, settings = block.gradient, block.scratch, self._settings
        np.multiply(step, step, out=scratch)
        np.multiply(block.second, settings.rho, out=block.second)
        np.add(block.second, scratch, out=block.second)
        np.add(block.second, settings.epsilon / (1 - settings.rho), out=scratch)
        np.sqrt(scratch, out=scratch)
        np.divide(step, scratch, out=step)
        np.multiply(step, block.rates, out=step)
        np.multiply(step, scale, out=step)
        if settings.momentum:
            np.multiply(block.first, settings.momentum, out=block.first)
            np.add(block.first, step, out=block.first)
            step = block.first
        np.subtract(block.values, step, out=block.values)

    def _sgd(self, block: _Block, scale: float) -> None:
        """Keras' SGD: the velocity holds the rate, and Nesterov looks ahead by one velocity."""
        step, momentum = block.gradient, self._settings.momentum
        np.multiply(step, block.rates, out=step)
        np.multiply(step, scale, out=step)
        if not momentum:
            np.subtract(block.values, step, out=block.values)
            return
        np.multiply(block.first, momentum, out=block.first)
        np.subtract(block.first, step, out=block.first)
        if not self._settings.nesterov:
            np.add(block.values, block.first, out=block.values)
            return
        np.subtract(block.values, step, out=block.values)
        np.multiply(block.first, momentum, out=block.scratch)
        np.add(block.values, block.scratch, out=block.values)


def _block_rows(layer: Layer) -> int:
    rows, columns = layer.values.shape
    return int(min(rows, max(1, BLOCK_VALUES // columns)))


def _blocks(layer: Layer, penalty: Floats, scratch: Floats, *, with_second: bool) -> list[_Block]:
    """Cut a layer into runs of rows; the tile of rates is shared by all of them."""
    rows, columns = layer.values.shape
    height = _block_rows(layer)
    tile = np.tile(layer.rates, (height, 1))
    first = np.zeros_like(layer.values)
    second = np.zeros_like(layer.values) if with_second else first
    blocks = []
    for start in range(0, rows, height):
        stop = min(rows, start + height)
        part, size = slice(start, stop), stop - start
        room = scratch[: size * columns].reshape(size, columns)
        kernel_rows = min(stop, rows - 1) - start
        arrays = (layer.values[part], layer.gradient[part], first[part], second[part], tile[:size])
        blocks.append(_Block(*arrays, scratch=room, kernel_rows=kernel_rows, penalty=penalty, l2=layer.l2))
    return blocks
