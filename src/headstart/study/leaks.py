"""Test images that are also training images: who they are, and every score without them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headstart.evaluation.evidence import CleanTest, LeakEffect
from headstart.evaluation.intervals import wilson_interval
from headstart.runs.folder import PredictionBlock
from headstart.study.parts import Parts
from headstart.study.plan import Plan


def contaminated(plan: Plan, parts: Parts) -> NDArray[np.bool_]:
    """Tell of every test image ``(images,)`` whether an equal or nearly equal one is among those learned from.

    Learned from are the given training and validation images. Groups too large to be joined do not count: they are
    chains, in which the first and the last image may have little in common.
    """
    chains = {frozenset(group.paths) for group in plan.table.near if not group.joined}
    leaks = [leak for leak in plan.audit.leaks if frozenset(leak.paths) not in chains and "test" in leak.splits]
    leaked = {path for leak in leaks for path in leak.paths}
    return np.array([path in leaked for path in parts.paths(parts.test)], np.bool_)


def clean_tests(blocks: Sequence[PredictionBlock], leaked: NDArray[np.bool_]) -> tuple[CleanTest, ...]:
    """Return every finalist on the test images that are not contaminated; nothing where none is.

    Args:
        blocks: what each says of the test images.
        leaked: which of them are contaminated, ``(images,)``.
    """
    return tuple(_clean(block, leaked) for block in blocks) if leaked.any() else ()


def _clean(block: PredictionBlock, leaked: NDArray[np.bool_]) -> CleanTest:
    right = (block.probabilities.argmax(axis=1) == block.labels)[~leaked]
    count, images = int(right.sum()), len(right)
    return CleanTest(
        candidate=block.candidate,
        images=len(leaked),
        contaminated=int(leaked.sum()),
        right=count,
        accuracy=count / images if images else None,
        ci95=wilson_interval(count, images) if images else None,
    )


def leak_effect(clean: CleanTest | None, accuracy: float) -> LeakEffect | None:
    """Return the best candidate's ``accuracy`` on all test images beside that without the contaminated ones."""
    if clean is None:
        return None
    return LeakEffect(clean.candidate, clean.contaminated, accuracy, clean.accuracy, clean.ci95)
