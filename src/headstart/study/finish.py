"""The end of a study: verdict, summary and classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from headstart import storage
from headstart.backbones import catalog
from headstart.data.audit import split_counts
from headstart.evaluation.evidence import Evidence
from headstart.evaluation.published import compare_published
from headstart.evaluation.results import (
    CandidateResult,
    Comparison,
    DatasetSummary,
    FinalResult,
    ProtocolSummary,
)
from headstart.evaluation.significance import compare_with_best
from headstart.evaluation.summary import Summary
from headstart.recipe import Candidate
from headstart.runs.folder import HistoryRow
from headstart.study.case import Case
from headstart.study.conclude import Opened
from headstart.study.plan import Plan


def summarise(case: Case, evidence: Evidence, epochs: Sequence[HistoryRow]) -> Summary:
    """Return the summary: everything that is the same each time the same study runs."""
    plan, candidates, opened, ranked, best = case.plan, case.results, case.opened, case.ranked, case.best
    comparison = _comparisons(best, opened)
    test = next(result.test for result in opened.results if result.candidate == best)
    return Summary(
        dataset=_dataset(plan),
        protocol=_protocol(plan, opened.openings),
        candidates=tuple(candidates),
        best=best,
        recommended=_recommended(ranked, comparison),
        finals=opened.results,
        test=test,
        verdict=_verdict(plan, ranked, opened.results, comparison),
        comparison=comparison,
        published=compare_published(
            plan.recipe.published, candidates, opened.results, plan.table.classes, epochs=epochs
        ),
    )


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
        folds=protocol.folds if plan.splits.kind == "folds" else None,
        repeats=len({one.repeat for one in plan.splits.rounds}),
        monitor=protocol.monitor,
        finals=protocol.finals,
        seed=protocol.seed,
        test_openings=openings,
    )


def _comparisons(best: str, opened: Opened) -> tuple[Comparison, ...]:
    """Compare the best candidate with every other finalist on the same test images."""
    right: dict[str, NDArray[np.bool_]] = {
        block.candidate: block.probabilities.argmax(axis=1) == block.labels
        for block in opened.blocks
        if block.part == "test"
    }
    return compare_with_best(best, right)


def _recommended(ranked: Sequence[CandidateResult], comparison: Sequence[Comparison]) -> str:
    """Return the finalist with the fewest parameters among the best and those that cannot be told from it."""
    equal = {ranked[0].id} | {one.b for one in comparison if one.verdict == "undecided"}
    sizes = {result.id: result.parameters.total for result in ranked if result.id in equal and result.parameters}
    return min(sizes, key=lambda name: (sizes[name], name != ranked[0].id))


def _verdict(
    plan: Plan,
    ranked: Sequence[CandidateResult],
    finals: Sequence[FinalResult],
    comparison: Sequence[Comparison],
) -> str:
    best = ranked[0]
    test = next(final.test for final in finals if final.candidate == best.id)
    low, high = test.intervals["accuracy"]
    images = sum(sum(row) for row in test.confusion_matrix)
    right = sum(row[place] for place, row in enumerate(test.confusion_matrix))
    sentence = (
        f"{_name(best)} did best in {_judged_by(plan)} and then classified {right:,} of {images:,} sealed test images "
        f"right: {_percent(test.accuracy)} % (95 % interval {_percent(low)} to {_percent(high)})"
    )
    names = {result.id: _name(result) for result in ranked}
    return f"{sentence}{_beside_others(comparison, names)}."


def _beside_others(comparison: Sequence[Comparison], names: Mapping[str, str]) -> str:
    """Return how the best compares with the other finalists on the test images, as the end of a sentence."""

    def those(verdict: str) -> str:
        return _listed([names[one.b] for one in comparison if one.verdict == verdict])

    parts = []
    if those("b"):
        parts.append(f"there {those('b')} did better by more than chance explains, though not in validation")
    if those("undecided"):
        parts.append(f"the test images do not tell it from {those('undecided')}")
    if comparison and not parts:
        parts.append("every other finalist did worse there, by more than chance explains")
    return "".join(f"; {part}" for part in parts)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _name(result: CandidateResult) -> str:
    candidate: Candidate = storage.from_plain(Candidate, result.settings)
    if candidate.name:
        return candidate.name
    title = catalog.find(result.backbone).title
    control = " with random weights" if candidate.is_control else ""
    if candidate.head.output == "logistic":
        return f"{title}{control} (logistic regression)"
    rate = candidate.train.optimizer.learning_rate
    return f"{title}{control} (learning rate {rate:g})"


def _judged_by(plan: Plan) -> str:
    protocol = plan.recipe.protocol
    if plan.splits.kind == "holdout":
        return "hold-out validation"
    repeated = f" repeated {protocol.repeats} times" if protocol.repeats > 1 else ""
    return f"{protocol.folds}-fold cross-validation{repeated}"


def _listed(names: Sequence[str]) -> str:
    return "".join(names) if len(names) < 2 else f"{', '.join(names[:-1])} and {names[-1]}"
