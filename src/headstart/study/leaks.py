"""What leaks between given splits do to the score: test accuracy with and without the images learned from."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from headstart.data.audit import Leak
from headstart.evaluation.evidence import LeakEffect
from headstart.evaluation.intervals import wilson_interval
from headstart.study.case import Case


def leak_effect(case: Case) -> LeakEffect | None:
    """Return the best candidate's test accuracy with and without leaked images; None where nothing leaked.

    Leaked are test images with an equal or nearly equal image among the given training or validation images. Without
    them the accuracy is that on images like the remaining ones; it is None when none remain. Groups too large to be
    joined do not count: they are chains, in which the first and the last image may have little in common.
    """
    chains = {frozenset(group.paths) for group in case.plan.table.near if not group.joined}
    leaked = _leaked_paths(leak for leak in case.plan.audit.leaks if frozenset(leak.paths) not in chains)
    block = case.test_of(case.best)
    mine = np.array([path in leaked for path in block.paths], np.bool_)
    if not mine.any():
        return None
    right = block.probabilities.argmax(axis=1) == block.labels
    kept = right[~mine]
    return LeakEffect(
        candidate=case.best,
        leaked=int(mine.sum()),
        accuracy=float(right.mean()),
        accuracy_without=float(kept.mean()) if len(kept) else None,
        accuracy_without_ci95=wilson_interval(int(kept.sum()), len(kept)) if len(kept) else None,
    )


def _leaked_paths(leaks: Iterable[Leak]) -> set[str]:
    """Return the paths of leaks with a given test image and a given image of another split."""
    return {path for leak in leaks if "test" in leak.splits for path in leak.paths}
