"""The phases of a training, resolved for one network: which epochs, which layers, which learning rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headstart import recipe
from headstart.errors import UsageError
from headstart.recipe.cuts import first_layer
from headstart.training.optimizers import schedule_factor


@dataclass(frozen=True, slots=True)
class Stage:
    """One phase of one training.

    Attributes:
        number: from 1.
        first_epoch: from 1, counted over all phases.
        epochs: of this phase alone, as far as it goes.
        planned: as many as the settings give it; the schedule runs over these.
        cut: number of the first layer that trains; the number of layers when the head trains alone.
        settled: whether batch normalisation in the tail uses its moving statistics and leaves them as they are.
        learning_rate: before the schedule's factor.
        keeps_state: whether the optimiser goes on with what it gathered in the phase before.
    """

    number: int
    first_epoch: int
    epochs: int
    planned: int
    cut: int
    settled: bool
    learning_rate: float
    schedule: recipe.Schedule
    keeps_state: bool

    @property
    def last_epoch(self) -> int:
        """The last epoch, counted over all phases."""
        return self.first_epoch + self.epochs - 1

    def rates(self, epoch: int, steps: int) -> list[float]:
        """Return the learning rate of every step of an epoch that has ``steps`` steps."""
        first = (epoch - self.first_epoch) * steps
        return [
            self.learning_rate
            * schedule_factor(self.schedule, step=first + step, steps_per_epoch=steps, epochs=self.planned)
            for step in range(steps)
        ]


def stages(settings: recipe.Training, epochs: int, names: Sequence[str], *, start: int = 0) -> tuple[Stage, ...]:
    """Return the phases that ``epochs`` epochs reach; the last one is cut short, or goes on, to end there.

    Args:
        names: of all layers of the network.
        start: the first layer that can train at all.

    Raises:
        UsageError: the network has no such layer.
        ValueError: a phase trains layers before ``start``.
    """
    first = recipe.Phase(
        epochs=settings.epochs,
        trainable=settings.trainable,
        learning_rate=settings.optimizer.learning_rate,
        schedule=settings.schedule,
        batch_normalization=settings.batch_normalization,
    )
    found: list[Stage] = []
    for phase in (first, *settings.phases):
        begun = found[-1].last_epoch if found else 0
        last = len(found) == len(settings.phases)
        length = epochs - begun if last else min(phase.epochs, epochs - begun)
        if length > 0:
            rate = phase.learning_rate or found[-1].learning_rate
            cut = _cut(phase.trainable, len(found), names, start)
            found.append(_stage(phase, len(found) + 1, begun + 1, length, rate=rate, cut=cut, layers=len(names)))
    return tuple(found)


def stage_at(found: Sequence[Stage], epoch: int) -> Stage:
    """Return the phase to which an epoch (from 1) belongs."""
    return next(stage for stage in found if epoch <= stage.last_epoch)


def cuts(settings: recipe.Training, names: Sequence[str]) -> tuple[int, ...]:
    """Return the number of the first layer that trains, phase by phase.

    Raises:
        UsageError: the network has no such layer.
    """
    return tuple(_cut(trainable, number, names, 0) for number, trainable in enumerate(settings.cuts))


def _cut(trainable: str, number: int, names: Sequence[str], start: int) -> int:
    try:
        cut = first_layer(trainable, len(names), names)
    except ValueError as error:
        key = f"train.phases[{number - 1}].trainable" if number else "train.trainable"
        raise UsageError(f"{key} = {trainable!r}: {error}") from error
    if cut < start:
        raise ValueError(f"phase {number + 1} trains from layer {cut}, but layers before {start} are not there.")
    return cut


def _stage(
    phase: recipe.Phase, number: int, first_epoch: int, epochs: int, *, rate: float, cut: int, layers: int
) -> Stage:
    return Stage(
        number=number,
        first_epoch=first_epoch,
        epochs=epochs,
        planned=phase.epochs,
        cut=cut,
        settled=phase.batch_normalization == "inference" and cut < layers,
        learning_rate=rate,
        schedule=phase.schedule,
        keeps_state=phase.optimizer_state == "keep",
    )
