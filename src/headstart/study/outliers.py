"""What features add to the audit, as warnings only: images unlike their class, and images that look the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from headstart.data.audit import Atypical, Audit
from headstart.data.images import ImageRow
from headstart.data.listing import shown
from headstart.evaluation.outliers import find_similar, find_strangers
from headstart.study.case import Case
from headstart.study.neighbours import frozen_learner, unit_features

DIGITS = 2


def with_outliers(case: Case) -> Audit:
    """Return the audit of a study with the images that are unlike their class, and groups that look the same.

    All images that take part are looked at, by the features of the best network whose backbone is frozen; without one
    the audit stays as it is. Groups that are known already, as copies or as one group of DATA, are left out.
    """
    learner = frozen_learner(case)
    if learner is None:
        return case.plan.audit
    rows = case.parts.rows
    features = unit_features(learner, np.arange(len(rows)))
    strangers = find_strangers(features, case.parts.labels, len(case.classes))
    atypical = tuple(
        Atypical(rows[place].path, rows[place].label, case.classes[near], round(float(score), DIGITS))
        for place, near, score in zip(strangers.positions, strangers.nearest, strangers.scores, strict=True)
    )
    groups = list(_unknown(case.plan.audit, [[rows[place] for place in group] for group in find_similar(features)]))
    return dataclasses.replace(
        case.plan.audit,
        atypical=atypical,
        similar=tuple(tuple(row.path for row in group) for group in groups),
        warnings=(*case.plan.audit.warnings, *_warnings(atypical, groups)),
    )


def _unknown(audit: Audit, groups: Iterable[Sequence[ImageRow]]) -> Iterator[Sequence[ImageRow]]:
    """Yield the groups that are not within one group of the audit or of DATA."""
    known = [set(paths) for paths in (*audit.exact_duplicates, *audit.near_duplicates)]
    for group in groups:
        paths = {row.path for row in group}
        one_group = group[0].group and len({row.group for row in group}) == 1
        if not one_group and not any(paths <= others for others in known):
            yield group


def _warnings(atypical: Sequence[Atypical], groups: Sequence[Sequence[ImageRow]]) -> Iterator[str]:
    if atypical:
        named = [f"{one.path}, most like {one.nearest}" for one in atypical]
        verb = "image is" if len(atypical) == 1 else "images are"
        yield f"{len(atypical):,} {verb} unlike the others of the class, by features ({shown(named)}): look at them."
    if groups:
        named = [" and ".join(row.path for row in group[:2]) for group in groups]
        noun = "group" if len(groups) == 1 else "groups"
        yield (
            f"{len(groups):,} {noun} of images look nearly the same, by features, though no copies were found "
            f"({shown(named)}){_apart(groups)}."
        )


def _apart(groups: Sequence[Sequence[ImageRow]]) -> str:
    """Return how many groups stand in both the training and the test images."""
    apart = sum("test" in there and len(there) > 1 for there in ({row.split for row in group} for group in groups))
    return f"; {apart:,} of them in training and test images, which may flatter the test" if apart else ""
