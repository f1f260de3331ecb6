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


def counted(plan: Plan, parts: Parts) -> NDArray[np.bool_]:
    """Tell which test images ``(images,)`` count: those that are not contaminated, or all where none is left."""
    clean = ~contaminated(plan, parts)
    return clean if clean.any() else np.ones(len(clean), np.bool_)


def clean_tests(blocks: Sequence[PredictionBlock], leaked: NDArray[np.bool_]) -> tuple[CleanTest, ...]:
    """Return every finalist on the test images that are not contaminated; nothing where none is.

    Args:
        blocks: what each says of the test images.
        leaked: which of them are contaminated, ``(images,)``.
    """
    answers = ((one.candidate, one.probabilities.argmax(axis=1) == one.labels) for one in blocks)
    found = (clean_test(candidate, right, leaked) for candidate, right in answers)
    return tuple(one for one in found if one is not None)


def clean_test(candidate: str, right: NDArray[np.bool_], leaked: NDArray[np.bool_]) -> CleanTest | None:
    """Return whoever was ``right`` on the test images that are not contaminated; None where none is contaminated.

    Args:
        candidate: a finalist or a combination.
        right, leaked: of every test image ``(images,)``, the latter as ``contaminated`` tells.
    """
    if not leaked.any():
        return None
    right = right[~leaked]
    count, images = int(right.sum()), len(right)
    return CleanTest(
        candidate=candidate,
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
