"""The best candidate against every other one: on the same test images, and over the same folds."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.evaluation import significance
from headstart.evaluation.evidence import Friedman
from headstart.evaluation.intervals import corrected_interval
from headstart.evaluation.metrics import image_losses
from headstart.evaluation.results import Comparison
from headstart.evaluation.significance import Outcome

Integers = NDArray[np.integer[Any]]
Floats = NDArray[np.float64]

LEVEL = 0.05
SURE = 0.95
# With 20 to 100 discordant images the exact test has 2 to 4 false alarms in 100 where 5 are allowed, mid-p 4 to 5.
FEW_DISCORDANT = 100
DRAWS_PER_PAIR = 100
# Below, the bootstrap and DeLong's test have up to 11 false alarms in 100 where 5 are allowed; from there on 2 to 7.
FEWEST_THAT_CARRY = 10
# In a mean over classes a small one counts in full, and its few images hardly show how much they spread.
SMALLEST_CLASS = 5
OVER_CLASSES = ("balanced_accuracy", "auc")

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

    McNemar's test alone decides on accuracy; the bootstrap of accuracy follows it or is undecided. The other measures
    are undecided where fewer than 10 images carry the difference (``images_that_carry``), and the means over classes
    also where a class has fewer than 5 images: there these tests raise false alarms.

    Args:
        best: a key of ``probabilities``.
        labels: true class of every image, ``(images,)``.
        probabilities: of every candidate, ``(images, classes)``.
        seed: of the bootstrap.

    Returns:
        Row after row of one test and measure, candidates in the order given. The verdict is ``a`` or ``b`` (who is
        better) where the adjusted p-value is below 5 % and that is not too few, else ``undecided``.
    """
    scores = {name: np.asarray(one, dtype=np.float64) for name, one in probabilities.items()}
    tested = _Tested(best, tuple(name for name in scores if name != best), labels, scores)
    if not tested.others:
        return ()
    accuracy = compare_accuracy(best, labels, probabilities)
    decided = np.array([row.verdict != "undecided" for row in accuracy])
    return (*accuracy, *_bootstrapped(tested, decided, seed), *_areas(tested))


def compare_accuracy(
    best: str, labels: Integers, probabilities: Mapping[str, NDArray[np.floating[Any]]]
) -> tuple[Comparison, ...]:
    """Compare the best candidate's accuracy with that of every other one: ``compare_on_test`` with McNemar alone."""
    return tuple(_decided([_mcnemar(best, other, labels, probabilities) for other in probabilities if other != best]))


def compare_on_folds(
    best: str,
    folds: Mapping[str, Sequence[float]],
    test_share: float,
    equivalence: float,
    *,
    finalists: Collection[str] | None = None,
) -> tuple[Comparison, ...]:
    """Compare the best candidate with every other one over the same rounds of cross-validation.

    The corrected resampled t-test, adjusted by Holm, with its interval, and the posterior of the Bayesian correlated
    t-test. The pairs with finalists are one family and those with all others a second one: the recommendation asks for
    the finalists only, and many others would hide that one of them is worse.

    Args:
        best: a key of ``folds``.
        folds: of every candidate the accuracy of each round, in the same order, ``(rounds,)``.
        test_share: validation images per training image of a round, above 0: 0.25 for five folds.
        equivalence: differences in accuracy up to this share do not matter.
        finalists: who belongs to the first family; None: all.

    Returns:
        One row per other candidate, in the order given; none for a single round. The verdict is
        ``equal`` where they are equal in practice with more than 95 % probability, else ``a`` or ``b`` (who is better)
        where the adjusted p-value is below 5 %, else ``undecided``.
    """
    if len(folds[best]) < 2:
        return ()
    rows = [_over_folds(best, other, folds, test_share, equivalence) for other in folds if other != best]
    families = [
        [row for row in rows if (finalists is None or row.b in finalists) == inside] for inside in (True, False)
    ]
    decided = {row.b: row for family in families for row in _decided(family)}
    return tuple(decided[row.b] for row in rows)


def friedman(folds: Mapping[str, Sequence[float]], repeats: Sequence[int] | None = None) -> Friedman | None:
    """Return Friedman's test with Nemenyi's critical difference, over the rounds of three or more candidates.

    Rounds stand where J. Demsar, J. Mach. Learn. Res. 7 (2006) 1-30 has data sets. Only those of the first repeat: in
    it every image validates once, while further repeats show the same images again, and as blocks of their own they
    would raise alarms in 19 of 100 studies of equal candidates (two repeats) to 72 (ten). The training sets of one
    repeat overlap too, so the result holds for these images, and p is somewhat too small for others.

    Args:
        folds: of every candidate the accuracy of each round, in the same order, ``(rounds,)``.
        repeats: the repeat of each round, ``(rounds,)``; None: all rounds are of one.

    Returns:
        None for fewer than three candidates or two rounds in the first repeat, and where these are so few that no two
        mean ranks can differ by the critical difference (two rounds): nothing could come of it.
    """
    values = np.array(list(folds.values()), dtype=np.float64).T
    if repeats is not None and values.size:
        values = values[np.asarray(repeats) == min(repeats)]
    if values.ndim != 2 or values.shape[0] < 2 or values.shape[1] < 3:
        return None
    blocks, candidates = values.shape
    critical_difference = significance.nemenyi_difference(candidates, blocks)
    if critical_difference > candidates - 1:
        return None
    found = significance.friedman_test(values)
    return Friedman(
        candidates=tuple(folds),
        mean_ranks=found.mean_ranks,
        statistic=found.statistic,
        p_value=found.p_value,
        critical_difference=critical_difference,
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


@dataclass(frozen=True, slots=True, eq=False)
class _Tested:
    """What candidates said of the same test images: labels ``(images,)``, scores ``(images, classes)`` of each."""

    best: str
    others: tuple[str, ...]
    labels: Integers
    scores: Mapping[str, Floats]

    @property
    def has_small_class(self) -> bool:
        """Whether a class has too few images to show its spread."""
        return bool(np.unique(self.labels, return_counts=True)[1].min() < SMALLEST_CLASS)

    def is_enough(self, measure: str, values: Floats) -> NDArray[np.bool_]:
        """Tell of every pair whether the images can decide on a measure; ``values`` are ``(images, pairs)``."""
        enough = significance.images_that_carry(values) >= FEWEST_THAT_CARRY
        return enough & (measure not in OVER_CLASSES or not self.has_small_class)


def _bootstrapped(tested: _Tested, decided: NDArray[np.bool_], seed: int) -> list[Comparison]:
    """Return one row per measure and pair; all of them look at the same draws.

    ``decided`` says of every pair whether McNemar's test decides it.
    """
    measures = {name: _contributions(tested.labels, one) for name, one in tested.scores.items()}
    values = np.stack([measures[tested.best] - measures[other] for other in tested.others], axis=2)
    rows: list[Comparison] = []
    drawn = _drawn(tested, values, seed)
    for at, measure in enumerate(("accuracy", "balanced_accuracy", "loss")):
        found = np.round(values[:, at].sum(axis=0), 12) + 0.0
        outcomes = [
            significance.bootstrap_test(float(one), column) for one, column in zip(found, drawn[at], strict=True)
        ]
        family = _rows(tested, "paired bootstrap", measure, outcomes)
        rows += _decided(family, decided if measure == "accuracy" else tested.is_enough(measure, values[:, at]))
    return rows


def _drawn(tested: _Tested, values: Floats, seed: int) -> Floats:
    """Return the differences in every draw, ``(measures, pairs, draws)``, from ``(images, measures, pairs)``."""
    # p-values cannot fall below 2 / draws: enough draws, that many pairs can still be decided
    draws = max(significance.DRAWS, DRAWS_PER_PAIR * len(tested.others))
    drawn = significance.paired_bootstrap(tested.labels, values.reshape(len(values), -1), seed=seed, draws=draws)
    return drawn.T.reshape(*values.shape[1:], draws)


def _rows(tested: _Tested, method: str, measure: str, outcomes: Sequence[Outcome]) -> list[Comparison]:
    return [
        _row(tested.best, other, method, measure, outcome)
        for other, outcome in zip(tested.others, outcomes, strict=True)
    ]


def _contributions(labels: Integers, scores: Floats) -> Floats:
    """Return what each image adds to accuracy, balanced accuracy and loss, ``(images, 3)``: columns sum to them."""
    right = scores.argmax(axis=1) == labels
    _, places, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    of_loss = image_losses(labels, scores) / len(labels)
    return np.stack([right / len(labels), right / sizes[places] / len(sizes), of_loss], axis=1)


def _areas(tested: _Tested) -> list[Comparison]:
    """Return one row per pair; none where no class has images both inside and outside of it."""
    mine, *its = [significance.macro_area(tested.labels, tested.scores[name]) for name in (tested.best, *tested.others)]
    areas = [one for one in its if one is not None]
    if mine is None or not areas:
        return []
    outcomes = [significance.compare_macro_areas(tested.labels, mine, one) for one in areas]
    values = np.stack([mine.components - one.components for one in areas], axis=1)
    return _decided(_rows(tested, "DeLong", "auc", outcomes), tested.is_enough("auc", values))


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


def _decided(rows: Sequence[Comparison], enough: Sequence[bool] | NDArray[np.bool_] | None = None) -> list[Comparison]:
    """Return the rows of one family with their adjusted p-values and verdicts, undecided where images are too few."""
    adjusted = significance.holm([1.0 if row.p_value is None else row.p_value for row in rows])
    judged = [_judged(row, p_value) for row, p_value in zip(rows, adjusted, strict=True)]
    if enough is None:
        return judged
    return [
        row if one else dataclasses.replace(row, verdict="undecided") for row, one in zip(judged, enough, strict=True)
    ]


def _judged(row: Comparison, adjusted: float) -> Comparison:
    if row.p_value is None:
        return row
    return dataclasses.replace(row, p_adjusted=adjusted, verdict=_verdict(row, adjusted))


def _verdict(row: Comparison, adjusted: float) -> str:
    # first: a difference too small to matter may well be significant
    if row.posterior and row.posterior["equal"] > SURE:
        return "equal"
    if adjusted < LEVEL and row.difference:
        better = row.difference < 0 if row.measure == "loss" else row.difference > 0
        return "a" if better else "b"
    return "undecided"
