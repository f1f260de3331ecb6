"""The end of a study: all that was found, as one summary."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart import storage
from headstart.data.audit import split_counts
from headstart.evaluation.baseline import chance_of_recall
from headstart.evaluation.comparison import compare_on_folds, compare_on_test, friedman, images_to_decide
from headstart.evaluation.evidence import Baseline, Evidence, ExpectedTest
from headstart.evaluation.expected_test import expect_test
from headstart.evaluation.published import compare_published
from headstart.evaluation.results import Comparison, DatasetSummary, ProtocolSummary
from headstart.evaluation.significance import mcnemar_mid_p, upper_difference
from headstart.evaluation.summary import Summary
from headstart.runs.folder import HistoryRow, PredictionBlock
from headstart.study.case import Case
from headstart.study.judge import validation_share
from headstart.study.leaks import counted
from headstart.study.parts import Parts, Rows
from headstart.study.plan import Plan
from headstart.study.prepare import Prepared
from headstart.study.verdict import Recommendation, Sizes, Standing, estimands, verdict

LEVEL, FOLDS_LEVEL = 0.05, 0.01


def summarise(
    case: Case, standing: Standing, recommendation: Recommendation, evidence: Evidence, epochs: Sequence[HistoryRow]
) -> Summary:
    """Return the summary: everything that is the same each time the same study runs."""
    plan = case.plan
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
        clean=case.clean,
        expected_test=standing.expected,
        baseline=standing.baseline,
        published=compare_published(
            plan.recipe.published, case.results, case.opened.results, plan.table.classes, epochs=epochs
        ),
        estimands=estimands(_sizes(case)),
        friedman=friedman(_fold_accuracies(case), [one.repeat for one in case.parts.rounds]),
        **{field.name: getattr(evidence, field.name) for field in dataclasses.fields(Evidence)},
    )


def standing_of(case: Case, prepared: Sequence[Prepared], selection: float) -> Standing:
    """Return what the verdict and the recommendation are drawn from.

    Args:
        selection: by how much the accuracy of the best one's rounds is too high for having been chosen, 0..1.
    """
    blocks = [case.test_of(one.id) for one in case.ranked]
    honest = counted(case.plan, case.parts)
    labels, probabilities = blocks[0].labels[honest], {one.candidate: one.probabilities[honest] for one in blocks}
    seed = storage.seed_from(case.protocol.seed, "comparison")
    speed = {one.network.name: one.milliseconds_per_image for one in prepared}
    return Standing(
        ranked=case.ranked,
        finals=case.opened.results,
        comparison=(*compare_on_test(case.best, labels, probabilities, seed), *_on_folds(case)),
        needed=images_to_decide(case.best, labels, probabilities),
        judged_by=judged_by(case.plan),
        baseline=baseline_of(case, labels, probabilities[case.best].argmax(axis=1)),
        choose_by=case.protocol.choose_by,
        alone=sum(one.cv is not None for one in case.results) == 1,
        clean=case.clean[0] if case.clean else None,
        expected=_expected(case, selection, len(labels)),
        behind=_behind(case),
        cost=_test_cost(case, blocks[0]) if case.protocol.choose_by == "cost" else None,
        speed={one.id: speed[case.judged_of(one.id).network.name] for one in case.ranked},
        equivalence=case.protocol.equivalence,
    )


def _test_cost(case: Case, block: PredictionBlock) -> float | None:
    counts = counted(case.plan, case.parts)
    return case.plan.measure.of(block.labels[counts], block.probabilities[counts])


def _expected(case: Case, selection: float, test_images: int) -> ExpectedTest | None:
    """Return what the rounds of the best candidate predict for the test images; nothing from best epochs."""
    cv, rounds = case.ranked[0].cv, case.parts.rounds
    assert cv is not None, "the best one has finished its rounds"
    accuracies = cv.accuracy.folds
    if case.protocol.score_epoch != "last" or not np.isfinite(accuracies).all():
        return None
    return expect_test(
        accuracies,
        [len(one.validation) for one in rounds],
        images_of_repeat=sum(len(one.validation) for one in rounds if one.repeat == rounds[0].repeat),
        selection_bias=selection,
        test_images=test_images,
    )


def _behind(case: Case) -> dict[str, float]:
    """Return by how much every other finalist is behind the best out of fold at most; for accuracy at the end only."""
    if case.protocol.choose_by != "accuracy" or case.protocol.score_epoch != "last":
        return {}
    right = {one.id: _right_out_of_fold(case, one.id) for one in case.ranked}
    return {name: upper_difference(right[case.best], mine) for name, mine in right.items() if name != case.best}


def _right_out_of_fold(case: Case, candidate: str) -> NDArray[np.bool_]:
    said = case.out_of_fold(candidate)
    right: NDArray[np.bool_] = said.logits.argmax(axis=1) == said.labels
    return right


def baseline_of(case: Case, labels: NDArray[np.integer[Any]], answers: NDArray[np.integer[Any]]) -> Baseline:
    """Return the best candidate beside always naming the commonest class of the training images.

    Args:
        labels, answers: of the test images that count, ``(images,)``.
    """
    classes, train = len(case.classes), case.parts.labels[case.parts.train]
    named = labels == np.bincount(train, minlength=classes).argmax()
    right = answers == labels
    only_best, only_named = int(np.sum(right & ~named)), int(np.sum(named & ~right))
    said, seed = case.out_of_fold(case.best), storage.seed_from(case.protocol.seed, "baseline")
    on_test = chance_of_recall(labels, answers, classes, seed=seed)
    folds = chance_of_recall(said.labels, said.logits.argmax(axis=1), classes, seed=seed)
    folds *= sum(one.cv is not None for one in case.results)
    recalls = [np.mean(right[labels == index]) for index in np.unique(labels)]
    return Baseline(
        right=int(named.sum()),
        images=len(labels),
        beaten=only_best > only_named and mcnemar_mid_p(only_best, only_named) < LEVEL,
        recall=float(np.mean(recalls)),
        chance_on_test=on_test,
        chance_out_of_fold=min(1.0, folds),
        # best epochs are chosen by these very answers: on noise they would pass too often
        informative=on_test < LEVEL or (folds < FOLDS_LEVEL and case.protocol.score_epoch == "last"),
        decidable=chance_of_recall(labels, labels, classes, seed=seed) < LEVEL,
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
        monitor="loss" if protocol.choose_by in ("loss", "auc") else "accuracy",
        finals=protocol.finals,
        seed=protocol.seed,
        test_openings=openings,
        choose_by=protocol.choose_by,
        score_epoch=protocol.score_epoch,
    )


def judged_by(plan: Plan) -> str:
    """Return how candidates were judged, in words."""
    protocol = plan.recipe.protocol
    if plan.splits.kind == "holdout":
        return "hold-out validation"
    repeated = f" repeated {protocol.repeats} times" if protocol.repeats > 1 else ""
    return f"{plan.splits.folds}-fold cross-validation{repeated}"
