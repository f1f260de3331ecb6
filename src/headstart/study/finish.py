"""The end of a study: all that was found, as one summary."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

import numpy as np

from headstart import storage
from headstart.data.audit import split_counts
from headstart.evaluation.comparison import compare_on_folds, compare_on_test, friedman, images_to_decide
from headstart.evaluation.evidence import Evidence
from headstart.evaluation.published import compare_published
from headstart.evaluation.results import Comparison, DatasetSummary, ProtocolSummary
from headstart.evaluation.summary import Summary
from headstart.runs.folder import HistoryRow
from headstart.study.case import Case
from headstart.study.judge import validation_share
from headstart.study.parts import Parts, Rows
from headstart.study.plan import Plan
from headstart.study.verdict import Sizes, Standing, estimands, recommend, verdict


def summarise(case: Case, evidence: Evidence, epochs: Sequence[HistoryRow]) -> Summary:
    """Return the summary: everything that is the same each time the same study runs."""
    plan, standing = case.plan, _standing(case)
    recommendation = recommend(standing)
    return Summary(
        dataset=_dataset(plan),
        protocol=_protocol(plan, case.opened.openings),
        candidates=tuple(case.results),
        best=case.best,
        recommended=recommendation.candidate,
        finals=case.opened.results,
        test=case.result_of(case.best).test,
        verdict=verdict(standing),
        recommendation=recommendation.sentence,
        comparison=tuple(standing.comparison),
        published=compare_published(
            plan.recipe.published, case.results, case.opened.results, plan.table.classes, epochs=epochs
        ),
        estimands=estimands(_sizes(case)),
        friedman=friedman(_fold_accuracies(case), [one.repeat for one in case.parts.rounds]),
        **{field.name: getattr(evidence, field.name) for field in dataclasses.fields(Evidence)},
    )


def _standing(case: Case) -> Standing:
    blocks = [case.test_of(one.id) for one in case.ranked]
    labels, probabilities = blocks[0].labels, {one.candidate: one.probabilities for one in blocks}
    seed = storage.seed_from(case.protocol.seed, "comparison")
    return Standing(
        ranked=case.ranked,
        finals=case.opened.results,
        comparison=(*compare_on_test(case.best, labels, probabilities, seed), *_on_folds(case)),
        needed=images_to_decide(case.best, labels, probabilities),
        judged_by=judged_by(case.plan),
        monitor=case.protocol.monitor,
        alone=len(case.results) == 1,
    )


def _on_folds(case: Case) -> tuple[Comparison, ...]:
    share, finalists = validation_share(case.parts.rounds), [one.id for one in case.ranked]
    return compare_on_folds(case.best, _fold_accuracies(case), share, case.protocol.equivalence, finalists=finalists)


def _fold_accuracies(case: Case) -> dict[str, tuple[float, ...]]:
    """Return the accuracy of every round for each candidate that finished."""
    return {one.id: one.cv.accuracy.folds for one in case.results if one.cv is not None}


def _sizes(case: Case) -> Sizes:
    rounds, parts = case.parts.rounds, case.parts
    return Sizes(
        rounds=len(rounds),
        training=round(float(np.mean([len(one.train) for one in rounds]))),
        validation=round(float(np.mean([len(one.validation) for one in rounds]))),
        test=len(parts.test),
        alike_in_validation=count_alike(parts, rounds[0].validation),
        alike_in_test=count_alike(parts, parts.test),
    )


def count_alike(parts: Parts, positions: Rows) -> int:
    """Return how many of the images at these positions share a group with another one of them."""
    times = Counter(parts.rows[position].group for position in positions)
    return sum(count for group, count in times.items() if group and count > 1)


def _dataset(plan: Plan) -> DatasetSummary:
    rows = plan.splits.rows
    return DatasetSummary(
        path=plan.table.location,
        fingerprint=plan.table.fingerprint,
        classes=plan.table.classes,
        images=sum(row.split != "excluded" for row in rows),
        set_aside=len(plan.table.set_aside),
        counts=split_counts(plan.table, plan.splits),
    )


def _protocol(plan: Plan, openings: int) -> ProtocolSummary:
    protocol = plan.recipe.protocol
    return ProtocolSummary(
        kind=plan.splits.kind,
        folds=plan.splits.folds if plan.splits.kind == "folds" else None,
        repeats=len({one.repeat for one in plan.splits.rounds}),
        monitor=protocol.monitor,
        finals=protocol.finals,
        seed=protocol.seed,
        test_openings=openings,
    )


def judged_by(plan: Plan) -> str:
    """Return how candidates were judged, in words."""
    protocol = plan.recipe.protocol
    if plan.splits.kind == "holdout":
        return "hold-out validation"
    repeated = f" repeated {protocol.repeats} times" if protocol.repeats > 1 else ""
    return f"{plan.splits.folds}-fold cross-validation{repeated}"
