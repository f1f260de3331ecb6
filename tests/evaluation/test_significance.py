"""Tests of difference, against SciPy, statsmodels, published worked examples and simulations of stated design."""

import time
from functools import partial

import numpy as np
import pytest
from scipy import integrate, stats
from sklearn.metrics import roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from headstart.evaluation.significance import (
    Outcome,
    bootstrap_test,
    compare_macro_areas,
    corrected_t_test,
    delong,
    friedman_test,
    holm,
    images_needed,
    images_that_carry,
    macro_area,
    mcnemar_exact,
    mcnemar_mid_p,
    nemenyi_difference,
    paired_bootstrap,
    paired_interval,
    practical_equivalence,
    upper_difference,
)

SIMULATIONS = 2000
DISCORDANT = [(0, 0), (1, 0), (3, 9), (9, 3), (40, 40), (15, 60), (600, 700)]

# E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson (1988): 43 patients with albumin, total protein, K-G score (low is
# good) and whether they were helped, as the SAS/STAT User's Guide prints them, example "Comparing ROC curves"
PATIENTS_TEXT = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1  3.8 5.7 5 1
3.7 6.7 6 1   3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0
4.0 6.6 6 0   3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1
4.3 6.5 4 1   3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1
2.9 5.7 9 0   2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1
"""
PATIENTS = np.array(PATIENTS_TEXT.split(), dtype=float).reshape(-1, 4)

# J. Demsar (2006), table 6: areas under the ROC curve of four variants of C4.5 on 14 data sets
# (two printed as .975 have different ranks there)
DEMSAR_TEXT = """
.763 .768 .771 .798  .599 .591 .590 .569  .954 .971 .968 .967  .628 .661 .654 .657  .882 .888 .886 .898
.936 .931 .916 .931  .661 .668 .609 .685  .583 .583 .563 .625  .775 .838 .866 .875  1.00 1.00 1.00 1.00
.940 .962 .965 .962  .619 .666 .614 .669  .972 .981 .97501 .975  .957 .978 .946 .970
"""
DEMSAR = np.array(DEMSAR_TEXT.split(), dtype=float).reshape(-1, 4)


def false_alarms(p_values):
    """Return the share of p-values below 5 %; among 2,000 it strays by half a point (one standard error)."""
    assert len(p_values) == SIMULATIONS
    return np.mean(np.array(p_values) < 0.05)


@pytest.mark.parametrize(("only_a", "only_b"), DISCORDANT)
def test_exact_mcnemar_equals_statsmodels_and_scipy(only_a, only_b):
    found = mcnemar_exact(only_a, only_b)
    assert found == pytest.approx(mcnemar([[50, only_a], [only_b, 7]], exact=True).pvalue, rel=1e-9)
    if only_a + only_b:
        assert found == pytest.approx(stats.binomtest(only_a, only_a + only_b).pvalue, rel=1e-9)


@pytest.mark.parametrize(("only_a", "only_b"), DISCORDANT)
def test_mid_p_mcnemar_halves_the_weight_of_the_count_itself(only_a, only_b):
    n, k = only_a + only_b, min(only_a, only_b)
    expected = min(1.0, 2 * stats.binom.cdf(k, n, 0.5) - stats.binom.pmf(k, n, 0.5))
    assert mcnemar_mid_p(only_a, only_b) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_of_a_published_table():
    # Fagerland, Lydersen and Laake (2013), table 1: airway hyper-responsiveness, 1 and 7 discordant pairs
    assert mcnemar_exact(1, 7) == pytest.approx(0.0703, abs=5e-5)
    assert mcnemar_mid_p(1, 7) == pytest.approx(0.0391, abs=5e-5)


def test_large_counts_are_exact_and_fast():
    start = time.perf_counter()
    found = [mcnemar_exact(500_000, 503_000), mcnemar_mid_p(500_000, 503_000)]
    assert time.perf_counter() - start < 0.1
    # so many follow the normal distribution, with the correction for continuity in the exact test
    assert found[0] == pytest.approx(2 * stats.norm.sf((3000 - 1) / np.sqrt(1_003_000)), rel=1e-4)
    assert found[1] == pytest.approx(2 * stats.norm.sf(3000 / np.sqrt(1_003_000)), rel=1e-4)
    assert mcnemar_exact(1_000, 2_000) == pytest.approx(stats.binomtest(1_000, 3_000).pvalue, rel=1e-9)


@pytest.mark.parametrize("discordant", [0.03, 0.08, 0.2])
def test_false_alarms_of_mcnemar(discordant):
    """734 images, two equally good candidates that differ on 3, 8 or 20 % of them."""
    cells = [discordant / 2, discordant / 2, 1 - discordant]
    counts = np.random.default_rng(1).multinomial(734, cells, size=SIMULATIONS)
    assert 0.035 <= false_alarms([mcnemar_mid_p(int(a), int(b)) for a, b, _ in counts]) <= 0.065
    assert false_alarms([mcnemar_exact(int(a), int(b)) for a, b, _ in counts]) <= 0.05


def test_paired_interval_covers_the_truth_as_often_as_it_says():
    counts = np.random.default_rng(0).multinomial(300, [0.08, 0.05, 0.87], size=SIMULATIONS)
    covered = [low <= 0.03 <= high for low, high in (paired_interval(a, b, 300) for a, b, _ in counts)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(("accuracy", "worse"), [(0.85, 0.0), (0.85, 0.03), (0.97, 0.03), (1.0, 0.02)])
@pytest.mark.parametrize("images", [60, 200, 1_000])
def test_a_difference_seldom_exceeds_its_upper_bound(accuracy, worse, images):
    """Of 100 bounds 95 should hold; 91 do at worst, where few images differ; without the halves added 71."""
    random, bounds = np.random.default_rng(0), []
    for _ in range(2_000):
        luck = np.where(random.random(images) < 0.7, random.random(images), random.random((2, images)))
        bounds.append(upper_difference(luck[0] < accuracy, luck[1] < accuracy - worse))
    assert np.mean(np.array(bounds) >= worse) >= 0.89


def test_the_upper_bound_is_that_of_the_normal_for_many_images():
    random = np.random.default_rng(2)
    best, other = random.random(20_000) < 0.9, random.random(20_000) < 0.88
    differences = best.astype(float) - other
    expected = differences.mean() + 1.6449 * differences.std(ddof=1) / np.sqrt(20_000)
    assert upper_difference(best, other) == pytest.approx(expected, abs=1e-5)


def test_a_few_images_on_which_both_are_right_show_no_equivalence():
    right = np.ones(60, bool)
    assert upper_difference(right, right) > 0.02
    assert upper_difference(np.ones(200, bool), np.ones(200, bool)) < 0.01


def test_images_needed_of_a_published_example():
    # Connor (1987) as computed by powerandsamplesize.com, McNemar's z-test, two-sided: 45 % and 5 % discordant
    assert images_needed(45, 5, 100) == 23
    assert images_needed(5, 45, 100) == 23


def test_images_needed_find_the_difference_four_times_in_five():
    """Accuracies that differ by 2 points, 8 % discordant, on as many images as asked for."""
    images = images_needed(50, 30, 1000)
    counts = np.random.default_rng(2).multinomial(images, [0.05, 0.03, 0.92], size=SIMULATIONS)
    assert np.mean([mcnemar_mid_p(int(a), int(b)) < 0.05 for a, b, _ in counts]) == pytest.approx(0.8, abs=0.03)


def test_no_number_of_images_tells_equal_ones_apart():
    assert images_needed(7, 7, 100) is None
    assert images_needed(0, 0, 100) is None


def test_stricter_tests_need_more_images():
    assert images_needed(50, 30, 1000) < images_needed(50, 30, 1000, level=0.01)
    assert images_needed(50, 30, 1000) < images_needed(50, 30, 1000, power=0.9)


def test_holm_equals_statsmodels():
    random = np.random.default_rng(3)
    for count in (1, 2, 5, 40):
        p_values = random.random(count) ** 3
        assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])
    assert holm([]) == []


def test_holm_of_a_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_keeps_the_level_over_five_pairs():
    """Six equally good candidates on 500 images (each right on 90 %, independently): the best against five."""
    right = np.random.default_rng(4).random((SIMULATIONS, 6, 500)) < 0.9
    first, others = right[:, :1], right[:, 1:]
    only_a, only_b = (first & ~others).sum(axis=2), (others & ~first).sum(axis=2)
    smallest = [
        min(holm([mcnemar_mid_p(int(a), int(b)) for a, b in zip(*pair, strict=True)]))
        for pair in zip(only_a, only_b, strict=True)
    ]
    assert 0.01 <= false_alarms(smallest) <= 0.065


def two_candidates(random, *, images=300, classes=3):
    """Return labels and right or wrong of two equally good candidates that agree more often than chance."""
    labels = random.integers(0, classes, images)
    both = random.random(images) < 0.8
    alone = random.random((2, images)) < 0.5
    return labels, np.where(both, alone[0], alone[1]), alone[0]


def test_bootstrap_has_the_mean_and_spread_that_theory_gives():
    random = np.random.default_rng(5)
    labels, values = np.repeat([0, 1, 2, 3], [40, 7, 3, 1]), random.normal(size=(51, 2))
    drawn = paired_bootstrap(labels, values, seed=0, draws=20_000)
    # the class of one image is drawn together with the smallest of the others
    strata = [labels == 0, labels == 1, labels >= 2]
    spread = sum(one.sum() * values[one].var(axis=0, ddof=1) for one in strata)
    np.testing.assert_allclose(drawn.mean(axis=0), values.sum(axis=0), atol=0.2)
    np.testing.assert_allclose(drawn.var(axis=0), spread, rtol=0.04)


def test_classes_of_one_image_each_do_not_hide_their_spread():
    values = np.random.default_rng(19).normal(size=(30, 1))
    alone = paired_bootstrap(np.arange(30), values, seed=0)
    np.testing.assert_array_equal(alone, paired_bootstrap(np.zeros(30, int), values, seed=0))
    assert alone.std() == pytest.approx(np.sqrt(30) * values.std(ddof=1), rel=0.05)


def test_a_difference_is_carried_by_the_discordant_images():
    right = np.array([1, -1, 1, 1, 0, 0, 0, 0]) / 8
    heavy = np.array([100, 1, 1, 1, 0, 0, 0, 0.0])
    np.testing.assert_allclose(images_that_carry(np.stack([right, heavy, 0 * right], axis=1)), [4, 103**2 / 10003, 0])


def test_bootstrap_is_seeded_and_may_come_in_blocks(monkeypatch):
    labels, values = np.arange(60) % 3, np.random.default_rng(6).normal(size=(60, 3))
    whole = paired_bootstrap(labels, values, seed=7, draws=50)
    monkeypatch.setattr("headstart.evaluation.significance.CELLS", 60 * 7)
    np.testing.assert_array_equal(paired_bootstrap(labels, values, seed=7, draws=50), whole)
    assert not np.array_equal(paired_bootstrap(labels, values, seed=8, draws=50), whole)


def test_bootstrap_does_not_mind_the_order_of_the_images():
    random = np.random.default_rng(9)
    labels, values = np.sort(np.arange(60) % 3), random.normal(size=(60, 1))
    shuffled = random.permutation(60)
    same = paired_bootstrap(labels[shuffled], values[shuffled], seed=0, draws=4000)
    first, second = (
        bootstrap_test(0.0, one[:, 0]).interval for one in (paired_bootstrap(labels, values, seed=0), same)
    )
    np.testing.assert_allclose(first, second, atol=1.2)


def test_bootstrap_without_any_difference_is_no_alarm():
    drawn = paired_bootstrap(np.arange(30) % 2, np.zeros((30, 1)), seed=0)
    assert bootstrap_test(0.0, drawn[:, 0]) == Outcome(0.0, None, 1.0)


def test_two_that_name_one_class_each_are_not_decided_by_the_bootstrap():
    labels = np.arange(31) % 3
    values = ((labels == 0).astype(float) - (labels == 1))[:, None] / len(labels)
    drawn = paired_bootstrap(labels, values, seed=0)
    assert bootstrap_test(float(values.sum()), drawn[:, 0]).p_value is None


def test_bootstrap_p_value_counts_the_rarer_side():
    drawn = np.concatenate([np.full(30, -1.0), np.full(969, 2.0)])
    assert bootstrap_test(1.9, drawn) == Outcome(1.9, (-1.0, 2.0), 2 * 31 / 1000)


def test_false_alarms_and_coverage_of_the_bootstrap():
    """300 images in 3 classes, two candidates right on half of them, agreeing on 90 %; 500 draws each."""
    random = np.random.default_rng(10)
    intervals, p_values = [], []
    for seed in range(SIMULATIONS):
        labels, a, b = two_candidates(random)
        values = (a.astype(float) - b)[:, None] / len(labels)
        found = bootstrap_test(float(values.sum()), paired_bootstrap(labels, values, seed=seed, draws=500)[:, 0])
        intervals.append(found.interval)
        p_values.append(found.p_value)
    assert false_alarms(p_values) <= 0.065
    assert 0.93 <= np.mean([low <= 0 <= high for low, high in intervals]) <= 0.97


def test_delong_of_its_own_paper():
    found = delong(PATIENTS[:, 3] == 1, np.stack([PATIENTS[:, 0], PATIENTS[:, 1], 10 - PATIENTS[:, 2]]))
    errors = np.sqrt(np.diag(found.covariance))
    np.testing.assert_allclose(found.areas, [0.7366, 0.6478, 0.7258], atol=5e-5)
    np.testing.assert_allclose(errors, [0.0927, 0.1000, 0.1028], atol=5e-5)
    for one, difference, error, chi_squared in [(0, 0.0108, 0.0953, 0.0127), (1, -0.0780, 0.1046, 0.5554)]:
        contrast = np.eye(3)[one] - np.eye(3)[2]
        spread = np.sqrt(contrast @ found.covariance @ contrast)
        assert contrast @ found.areas == pytest.approx(difference, abs=5e-5)
        assert spread == pytest.approx(error, abs=5e-5)
        assert (contrast @ found.areas / spread) ** 2 == pytest.approx(chi_squared, abs=5e-5)


def test_delong_equals_its_definition():
    random = np.random.default_rng(11)
    positive, scores = np.arange(40) < 15, np.round(random.normal(size=(2, 40)), 1)
    better = scores[:, positive, None] - scores[:, None, ~positive]
    kernel = np.where(better > 0, 1.0, np.where(better == 0, 0.5, 0.0))
    found = delong(positive, scores)
    np.testing.assert_allclose(found.areas, kernel.mean(axis=(1, 2)))
    np.testing.assert_allclose(found.areas, [roc_auc_score(positive, one) for one in scores])
    np.testing.assert_allclose(found.covariance, np.cov(kernel.mean(axis=2)) / 15 + np.cov(kernel.mean(axis=1)) / 25)


def spoken(random, labels, classes, strength=1.5):
    """Return made-up probabilities that lean to the label."""
    logits = random.normal(size=(len(labels), classes)) + strength * np.eye(classes)[labels]
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def test_macro_area_is_that_of_scikit_learn():
    random = np.random.default_rng(12)
    labels = random.integers(0, 5, 200)
    scores = spoken(random, labels, 5)
    expected = roc_auc_score(labels, scores, multi_class="ovr", average="macro")
    assert macro_area(labels, scores).area == pytest.approx(expected)
    present = labels.copy()
    present[labels == 4] = 0
    expected = np.mean([roc_auc_score(present == k, scores[:, k]) for k in range(4)])
    assert macro_area(present, scores).area == pytest.approx(expected)
    assert macro_area(np.zeros(7, int), scores[:7]) is None


def test_macro_comparison_of_two_classes_is_delongs():
    random = np.random.default_rng(13)
    labels = random.integers(0, 2, 80)
    a, b = (spoken(random, labels, 2) for _ in range(2))
    binary = delong(labels == 1, np.stack([a[:, 1], b[:, 1]]))
    found = compare_macro_areas(labels, macro_area(labels, a), macro_area(labels, b))
    variance = binary.covariance[0, 0] + binary.covariance[1, 1] - 2 * binary.covariance[0, 1]
    assert found.difference == pytest.approx(binary.areas[0] - binary.areas[1])
    z = found.difference / np.sqrt(variance)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(z)))
    half = stats.norm.ppf(0.975) * np.sqrt(variance)
    assert found.interval == pytest.approx((found.difference - half, found.difference + half))


def test_spread_of_the_macro_area_is_that_of_redrawn_images():
    """Against the plain bootstrap of scikit-learn's macro area of the difference, class by class."""
    random = np.random.default_rng(14)
    labels = np.repeat(np.arange(3), [40, 60, 50])
    a, b = spoken(random, labels, 3), spoken(random, labels, 3)
    differences = []
    for _ in range(300):
        rows = np.concatenate([random.choice(np.flatnonzero(labels == k), np.sum(labels == k)) for k in range(3)])
        areas = [roc_auc_score(labels[rows], one[rows], multi_class="ovr") for one in (a, b)]
        differences.append(areas[0] - areas[1])
    low, high = compare_macro_areas(labels, macro_area(labels, a), macro_area(labels, b)).interval
    assert (high - low) / 2 / stats.norm.ppf(0.975) == pytest.approx(np.std(differences), rel=0.12)


@pytest.mark.parametrize("classes", [2, 5])
def test_false_alarms_of_delong(classes):
    """300 images in 2 or 5 classes, two equally good candidates that see every image with correlated noise."""
    random = np.random.default_rng(15)
    p_values = []
    for _ in range(SIMULATIONS):
        labels = random.integers(0, classes, 300)
        shared = random.normal(size=(300, classes)) + 1.5 * np.eye(classes)[labels]
        a, b = (macro_area(labels, shared + random.normal(size=shared.shape)) for _ in range(2))
        p_values.append(compare_macro_areas(labels, a, b).p_value)
    assert 0.035 <= false_alarms(p_values) <= 0.065


def test_delong_of_candidates_that_say_the_same():
    labels = np.arange(20) % 2
    perfect = macro_area(labels, np.eye(2)[labels])
    found = compare_macro_areas(labels, perfect, perfect)
    assert found == Outcome(0.0, None, 1.0)
    wrong = macro_area(labels, np.eye(2)[1 - labels])
    assert compare_macro_areas(labels, perfect, wrong) == Outcome(1.0, None, None)


def test_a_class_of_one_image_does_not_hide_its_spread():
    random = np.random.default_rng(16)
    labels = np.array([0] * 20 + [1] * 10 + [2])
    a, b = (macro_area(labels, spoken(random, labels, 3)) for _ in range(2))
    found = compare_macro_areas(labels, a, b)
    assert found.interval[0] < found.difference < found.interval[1]
    joined = np.array([0] * 20 + [1] * 11)
    assert compare_macro_areas(joined, a, b).p_value == found.p_value


FOLDS = [0.03, 0.01, 0.02, 0.05, -0.01]


def test_corrected_t_test_is_students_with_a_wider_error():
    plain = stats.ttest_1samp(FOLDS, 0)
    assert corrected_t_test(FOLDS, 1e-12) == pytest.approx(plain.pvalue, rel=1e-6)
    expected = 2 * stats.t.sf(plain.statistic / np.sqrt(1 + 5 * 0.25), 4)
    assert corrected_t_test(FOLDS, 0.25) == pytest.approx(expected)


@pytest.fixture(scope="module")
def grid_search():
    """Differences of the worked example "Statistical comparison of models using grid search" of scikit-learn."""
    from sklearn.datasets import make_moons
    from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
    from sklearn.svm import SVC

    images, labels = make_moons(noise=0.352, random_state=1, n_samples=100)
    folds = RepeatedStratifiedKFold(n_splits=10, n_repeats=10, random_state=0)
    score = partial(cross_val_score, X=images, y=labels, scoring="roc_auc", cv=folds)
    return score(SVC(kernel="rbf", random_state=0)) - score(SVC(kernel="linear", random_state=0))


def test_corrected_t_test_of_a_published_example(grid_search):
    # its p-value, 0.227, is one-sided; ten folds have one validation image per nine training images
    assert corrected_t_test(grid_search, 1 / 9) / 2 == pytest.approx(0.227, abs=5e-4)


def test_posterior_of_a_published_example(grid_search):
    found = practical_equivalence(grid_search, 1 / 9, 0.01)
    assert found["equal"] == pytest.approx(0.432, abs=5e-4)
    assert practical_equivalence(grid_search, 1 / 9, 0.0)["a"] == pytest.approx(0.773, abs=5e-4)


def test_posterior_is_the_area_under_students_curve():
    found = practical_equivalence(FOLDS, 0.25, 0.01)
    scale = np.sqrt((1 / 5 + 0.25) * np.var(FOLDS, ddof=1))
    posterior = stats.t(4, np.mean(FOLDS), scale).pdf
    assert found["equal"] == pytest.approx(integrate.quad(posterior, -0.01, 0.01)[0])
    assert found["a"] == pytest.approx(integrate.quad(posterior, 0.01, np.inf)[0])
    assert sum(found.values()) == pytest.approx(1)


def test_rounds_that_say_nothing_give_no_answer():
    assert corrected_t_test([0.1], 0.25) is None
    assert corrected_t_test([0.0, 0.0, 0.0], 0.25) == 1.0
    assert corrected_t_test([0.1 + 0.2, 0.3, 0.3], 0.25) is None
    assert practical_equivalence([0.1], 0.25, 0.01) is None
    assert practical_equivalence([0.0, 0.0], 0.25, 0.01) is None


def cross_validated(repeats, images=100):
    """Return differences in accuracy of two equally good procedures, ``(simulations, 5 * repeats)``.

    Points in 10 dimensions, two classes. Nearest class mean on the first five coordinates against the same on the last
    five; every coordinate tells as much. Each simulation makes new points, and its training sets overlap as in a study.
    """
    random = np.random.default_rng(17)
    labels = np.arange(images) % 2
    points = random.normal(size=(SIMULATIONS, images, 10)) + 0.35 * (2 * labels - 1)[:, None]
    differences = []
    for _ in range(repeats):
        folds = random.permutation(images // 2)[np.arange(images) // 2] % 5
        for held_out in (folds == fold for fold in range(5)):
            means = [points[:, ~held_out & (labels == k)].mean(axis=1, keepdims=True) for k in (0, 1)]
            closer = (points[:, held_out] - means[0]) ** 2 - (points[:, held_out] - means[1]) ** 2
            right = [(closer[:, :, half].sum(axis=2) > 0) == labels[held_out] for half in (slice(5), slice(5, 10))]
            differences.append(right[0].mean(axis=1) - right[1].mean(axis=1))
    return np.stack(differences, axis=1)


@pytest.mark.parametrize("repeats", [1, 6])
def test_false_alarms_of_the_corrected_t_test(repeats):
    """Five folds, once and repeated six times; Student's plain test calls ever more alarms as folds are repeated."""
    differences = cross_validated(repeats)
    corrected, plain = (
        [1.0 if (found := corrected_t_test(row, share)) is None else found for row in differences]
        for share in (0.25, 1e-12)
    )
    assert false_alarms(corrected) <= 0.065
    assert false_alarms(corrected) < false_alarms(plain)
    if repeats > 1:
        assert false_alarms(plain) > 0.2


def test_friedman_equals_scipy():
    random = np.random.default_rng(18)
    for values in (random.random((10, 4)), np.round(random.random((8, 5)), 1), DEMSAR):
        found, expected = friedman_test(values), stats.friedmanchisquare(*values.T)
        assert found.statistic == pytest.approx(expected.statistic)
        assert found.p_value == pytest.approx(expected.pvalue)


def test_friedman_and_nemenyi_of_demsars_example():
    found = friedman_test(DEMSAR)
    np.testing.assert_allclose(found.mean_ranks, [3.143, 2.000, 2.893, 1.964], atol=5e-4)
    # the paper does not correct for ties
    uncorrected = 12 * 14 / (4 * 5) * (np.sum(np.square(found.mean_ranks)) - 4 * 5**2 / 4)
    assert uncorrected == pytest.approx(9.28, abs=5e-3)
    assert nemenyi_difference(4, 14) == pytest.approx(1.25, abs=5e-3)
    assert nemenyi_difference(4, 14, level=0.10) == pytest.approx(1.12, abs=5e-3)


def test_nemenyi_quantiles_are_demsars_table():
    # table 5 (a): 5 % and 10 % for 2 to 10 candidates
    strict = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]
    loose = [1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920]
    for level, table in ((0.05, strict), (0.10, loose)):
        found = [nemenyi_difference(k, 1, level) / np.sqrt(k * (k + 1) / 6) for k in range(2, 11)]
        np.testing.assert_allclose(found, table, atol=1.5e-3)


def test_friedman_without_any_difference_is_no_alarm():
    found = friedman_test(np.full((4, 3), 0.9))
    assert (found.mean_ranks, found.statistic, found.p_value) == ((2.0, 2.0, 2.0), 0.0, 1.0)
