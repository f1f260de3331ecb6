"""Small trainings for the tests of the head bank and of fine-tuning."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from headstart import recipe
from headstart.training.heads import Job, Rows

IMAGES, INPUTS, CLASSES = 150, 12, 4


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """Features with noise around a centre per class, so that heads learn, but not all."""

    features: NDArray[np.float32]
    labels: Rows
    classes: int = CLASSES


@pytest.fixture(scope="session")
def sample() -> Sample:
    random = np.random.default_rng(3)
    labels = random.integers(0, CLASSES, IMAGES)
    features = random.normal(size=(CLASSES, INPUTS))[labels] * 0.5 + random.normal(size=(IMAGES, INPUTS))
    return Sample(features.astype(np.float32), labels)


@pytest.fixture(scope="session")
def make_job() -> Callable[..., Job]:
    """Return a function that makes a job: fold 0 of 5, Adam at 0.01, 3 epochs, batches of 50.

    Any field of the job and of its settings can be set. The last epoch is kept; ``watched``: validation chooses one.
    """
    of_settings = {field.name for field in dataclasses.fields(recipe.Training)} - {"epochs"}

    def make(fold: int = 0, *, watched: bool = False, **changes: Any) -> Job:
        rows = np.random.default_rng(8).permutation(IMAGES)
        held_out = rows[fold::5]
        settings = recipe.Training(epochs=3, batch_size=50, optimizer=recipe.Optimizer(learning_rate=0.01))
        chosen = {name: changes.pop(name) for name in of_settings & set(changes)}
        job = Job(
            key=f"job/{fold}",
            head=recipe.Head(),
            settings=dataclasses.replace(settings, **chosen),
            epochs=3,
            train=np.setdiff1d(rows, held_out),
            validation=held_out,
            order_seed=fold,
            init_seed=fold,
            dropout_seed=fold,
            watch=held_out if watched else None,
        )
        return dataclasses.replace(job, **changes)

    return make
