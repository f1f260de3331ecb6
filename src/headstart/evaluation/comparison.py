"""The best candidate against every other one: on the same test images, and over the same folds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.evaluation import significance
from headstart.evaluation.evidence import Friedman
from headstart.evaluation.intervals import corrected_interval
from headstart.evaluation.metrics import CLIP
from headstart.evaluation.results import Comparison
from headstart.evaluation.significance import Outcome

Integers = NDArray[np.integer[Any]]
Floats = NDArray[np.float64]

LEVEL = 0.05
SURE = 0.95
# With 20 to 100 discordant images the exact test has 2 to 4 false alarms in 100 where 5 are allowed, mid-p 4 to 5.
FEW_DISCORDANT = 100
DRAWS_PER_PAIR = 100

UNITS = {
    "accuracy": "share of images",
    "balanced_accuracy": "mean share over classes",
    "loss": "nats",
    "auc": "mean area over classes",
}


def compare_on_test(
    best: str, labels: Integers, probabilities: Mapping[str, NDArray[np.floating[Any]]], seed: int
) -> tuple[Comparison, ...]:
    """Compare the best candidate with every other one on the same test images.

    For every other candidate: McNemar's test of accuracy (mid-p where fewer than 100 images tell the two apart, else
    exact); the paired bootstrap of accuracy, balanced accuracy and loss; DeLong's test of the macro area under the ROC
    curve, where it exists. P-values are adjusted by Holm over the pairs of one test and measure.

    Args:
        best: a key of ``probabilities``.
        labels: true class of every image, ``(images,)``.
        probabilities: of every candidate, ``(images, classes)``.
        seed: of the bootstrap.

    Returns:
        Row after row of one test and measure, candidates in the order given. The verdict is ``a`` or ``b`` (who is
        better) where the adjusted p-value is below 5 %, else ``undecided``.
    """
    scores = {name: np.asarray(one, dtype=np.float64) for name, one in probabilities.items()}
    others = [name for name in scores if name != best]
    if not others:
        return ()
    return (
        *compare_accuracy(best, labels, probabilities),
        *_bootstrapped(best, others, labels, scores, seed=seed),
        *_decided(_areas(best, others, labels, scores)),
    )


def compare_accuracy(
    best: str, labels: Integers, probabilities: Mapping[str, NDArray[np.floating[Any]]]
) -> tuple[Comparison, ...]:
    """Compare the best candidate's accuracy with that of every other one: ``compare_on_test`` with McNemar alone."""
    return tuple(_decided([_mcnemar(best, other, labels, probabilities) for other in probabilities if other != best]))


def compare_on_folds(
    best: str, folds: Mapping[str, Sequence[float]], test_share: float, equivalence: float
) -> tuple[Comparison, ...]:
    """Compare the best candidate with every other one over the same rounds of cross-validation.

    The corrected resampled t-test, adjusted by Holm over the pairs, with its interval, and the posterior of the
    Bayesian correlated t-test.

    Args:
        best: a key of ``folds``.
        folds: of every candidate the accuracy of each round, in the same order, ``(rounds,)``.
        test_share: validation images per training image of a round, above 0: 0.25 for five folds.
        equivalence: differences in accuracy up to this share do not matter.

    Returns:
        One row per other candidate; none for a single round. The verdict is ``a`` or ``b`` (who is better) where the
        adjusted p-value is below 5 %, else ``equal`` where they are equal in practice with more than 95 % probability,
        else ``undecided``.
    """
    if len(folds[best]) < 2:
        return ()
    rows = [_over_folds(best, other, folds, test_share, equivalence) for other in folds if other != best]
    return tuple(_decided(rows))


def friedman(folds: Mapping[str, Sequence[float]]) -> Friedman | None:
    """Return Friedman's test with Nemenyi's critical difference, over the rounds of three or more candidates.

    Rounds stand where J. Demsar, J. Mach. Learn. Res. 7 (2006) 1-30 has data sets. Their training sets overlap, so the
    result holds for these images, and p is somewhat too small for others.

    Args:
        folds: of every candidate the accuracy of each round, in the same order, ``(rounds,)``.

    Returns:
        None for fewer than three candidates or two rounds.
    """
    values = np.array(list(folds.values()), dtype=np.float64).T
    if values.ndim != 2 or values.shape[0] < 2 or values.shape[1] < 3:
        return None
    blocks, candidates = values.shape
    found = significance.friedman_test(values)
    return Friedman(
        candidates=tuple(folds),
        mean_ranks=found.mean_ranks,
        statistic=found.statistic,
        p_value=found.p_value,
        critical_difference=significance.nemenyi_difference(candidates, blocks),
        blocks=blocks,
    )


def images_to_decide(
    best: str, labels: Integers, probabilities: Mapping[str, NDArray[np.floating[Any]]]
) -> dict[str, int | None]:
    """Return for every other candidate how many test images would tell it from the best, as ``images_needed`` says.

    Found with 80 % probability, at 5 % divided by the number of pairs; None where they do not differ so far.
    """
    pairs = max(1, len(probabilities) - 1)
    right = {name: one.argmax(axis=1) == labels for name, one in probabilities.items()}
    return {
        other: significance.images_needed(*_discordant(right[best], right[other]), len(labels), level=LEVEL / pairs)
        for other in right
        if other != best
    }


def _discordant(right_a: NDArray[np.bool_], right_b: NDArray[np.bool_]) -> tuple[int, int]:
    """Return how many images only a, and only b, got right."""
    return int(np.sum(right_a & ~right_b)), int(np.sum(right_b & ~right_a))


def _mcnemar(best: str, other: str, labels: Integers, scores: Mapping[str, NDArray[np.floating[Any]]]) -> Comparison:
    only_a, only_b = _discordant(*(scores[name].argmax(axis=1) == labels for name in (best, other)))
    few = only_a + only_b < FEW_DISCORDANT
    p_value = (significance.mcnemar_mid_p if few else significance.mcnemar_exact)(only_a, only_b)
    interval = significance.paired_interval(only_a, only_b, len(labels))
    outcome = Outcome((only_a - only_b) / len(labels), interval, p_value)
    return _row(best, other, "McNemar mid-p" if few else "McNemar exact", "accuracy", outcome)


def _bootstrapped(
    best: str, others: Sequence[str], labels: Integers, scores: Mapping[str, Floats], *, seed: int
) -> list[Comparison]:
    """Return one row per measure and pair; all of them look at the same draws."""
    measures = {name: _contributions(labels, one) for name, one in scores.items()}
    values = np.concatenate([measures[best] - measures[other] for other in others], axis=1)
    # p-values cannot fall below 2 / draws: enough draws, that many pairs can still be decided
    draws = max(significance.DRAWS, DRAWS_PER_PAIR * len(others))
    drawn = significance.paired_bootstrap(labels, values, seed=seed, draws=draws)
    found, names = np.round(values.sum(axis=0), 12) + 0.0, ("accuracy", "balanced_accuracy", "loss")
    rows: list[Comparison] = []
    for at, measure in enumerate(names):
        family = []
        for column, other in zip(range(at, values.shape[1], len(names)), others, strict=True):
            outcome = significance.bootstrap_test(float(found[column]), drawn[:, column])
            family.append(_row(best, other, "paired bootstrap", measure, outcome))
        rows += _decided(family)
    return rows


def _contributions(labels: Integers, scores: Floats) -> Floats:
    """Return what each image adds to accuracy, balanced accuracy and loss, ``(images, 3)``: columns sum to them."""
    right = scores.argmax(axis=1) == labels
    _, places, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    of_truth = scores[np.arange(len(labels)), labels] / scores.sum(axis=1)
    loss = -np.log(np.clip(of_truth, CLIP, 1 - CLIP))
    return np.stack([right / len(labels), right / sizes[places] / len(sizes), loss / len(labels)], axis=1)


def _areas(best: str, others: Sequence[str], labels: Integers, scores: Mapping[str, Floats]) -> list[Comparison]:
    mine = significance.macro_area(labels, scores[best])
    rows = []
    for other in others:
        its = significance.macro_area(labels, scores[other])
        if mine is not None and its is not None:
            rows.append(_row(best, other, "DeLong", "auc", significance.compare_macro_areas(labels, mine, its)))
    return rows


def _over_folds(
    best: str, other: str, folds: Mapping[str, Sequence[float]], test_share: float, equivalence: float
) -> Comparison:
    differences = [mine - its for mine, its in zip(folds[best], folds[other], strict=True)]
    posterior = significance.practical_equivalence(differences, test_share, equivalence)
    interval = corrected_interval(differences, test_share) if posterior else None
    p_value = significance.corrected_t_test(differences, test_share)
    outcome = Outcome(float(np.mean(differences)), interval, p_value)
    row = _row(best, other, "corrected resampled t-test", "accuracy", outcome)
    return dataclasses.replace(row, on="folds", posterior=posterior)


def _row(best: str, other: str, method: str, measure: str, outcome: Outcome) -> Comparison:
    return Comparison(
        a=best,
        b=other,
        on="test",
        method=method,
        measure=measure,
        difference=outcome.difference,
        unit=UNITS[measure],
        ci95=outcome.interval,
        p_value=outcome.p_value,
        p_adjusted=None,
        posterior=None,
        verdict="undecided",
    )


def _decided(rows: Sequence[Comparison]) -> list[Comparison]:
    """Return the rows of one test and measure with their adjusted p-values and verdicts."""
    adjusted = significance.holm([1.0 if row.p_value is None else row.p_value for row in rows])
    return [_judged(row, p_value) for row, p_value in zip(rows, adjusted, strict=True)]


def _judged(row: Comparison, adjusted: float) -> Comparison:
    if row.p_value is None:
        return row
    return dataclasses.replace(row, p_adjusted=adjusted, verdict=_verdict(row, adjusted))


def _verdict(row: Comparison, adjusted: float) -> str:
    if adjusted < LEVEL and row.difference:
        better = row.difference < 0 if row.measure == "loss" else row.difference > 0
        return "a" if better else "b"
    return "equal" if row.posterior and row.posterior["equal"] > SURE else "undecided"
