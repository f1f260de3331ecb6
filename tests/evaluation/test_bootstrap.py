"""Drawn intervals: against SciPy, against plain resampling with scikit-learn, and by how often they hold a truth."""

import math
import time
import tracemalloc

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from headstart.evaluation.bootstrap import bootstrap_intervals, draw_measures, placements

SIMULATED = 2000


def scores_of(random, sizes, apart):
    """Softmax of Gaussian logits, the true class's higher by ``apart``, class 0 favoured: labels and probabilities."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    logits = random.normal(size=(len(labels), len(sizes))) + apart * np.eye(len(sizes))[labels]
    logits[:, 0] += 0.3
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return labels, shares / shares.sum(axis=1, keepdims=True)


def losses_of(labels, probabilities):
    return -np.log(np.clip(probabilities[np.arange(len(labels)), labels], 1e-7, 1 - 1e-7))


def drawn(labels, probabilities, **settings):
    return draw_measures(labels, probabilities, losses_of(labels, probabilities), seed=5, **settings)


def intervals(labels, probabilities, seed=5, **settings):
    return bootstrap_intervals(labels, probabilities, losses_of(labels, probabilities), seed=seed, **settings)


@pytest.fixture(scope="module")
def case():
    return scores_of(np.random.default_rng(3), [60, 90, 30], 1.5)


def test_the_first_row_is_the_images_as_they_are(case):
    labels, probabilities = case
    found, predicted = drawn(labels, probabilities, draws=2), probabilities.argmax(axis=1)
    assert found.recall[0] == pytest.approx(reference.recall_score(labels, predicted, average=None))
    assert found.f1[0] == pytest.approx(reference.f1_score(labels, predicted, average=None))
    assert found.auc[0] == pytest.approx(
        reference.roc_auc_score(labels, probabilities, multi_class="ovr", average=None)
    )
    assert found.loss[0] == pytest.approx(reference.log_loss(labels, probabilities))


def test_placements_of_tied_scores():
    labels, scores = np.array([0, 0, 1, 1]), np.array([0.9, 0.5, 0.5, 0.1])
    found = placements(labels, np.column_stack([scores, 1 - scores]))
    assert found[:, 0] == pytest.approx([2 / 4, 1.5 / 4, 1.5 / 4, 2 / 4])
    assert found.sum(axis=0) / 2 == pytest.approx([0.875, 0.875])


def test_draws_of_recall_are_scipys_bootstrap(case):
    labels, probabilities = case
    right = probabilities.argmax(axis=1) == labels
    samples = [right[labels == index].astype(float) for index in range(3)]

    def balanced(*parts, axis):
        return np.mean([part.mean(axis=axis) for part in parts], axis=0)

    expected = stats.bootstrap(
        samples, balanced, n_resamples=9999, method="percentile", rng=np.random.default_rng(0), vectorized=True
    )
    found = drawn(labels, probabilities, draws=9999).recall.mean(axis=1)
    unbiased = math.sqrt(sum(part.var(ddof=1) / len(part) for part in samples)) / 3
    assert found[1:].std(ddof=1) == pytest.approx(unbiased, rel=0.02)
    assert unbiased == pytest.approx(expected.standard_error, rel=0.03)
    ends = (expected.confidence_interval.low, expected.confidence_interval.high)
    assert np.quantile(found[1:], [0.025, 0.975]) == pytest.approx(ends, abs=0.006)


def test_draws_of_an_auc_are_scipys_bootstrap():
    labels, probabilities = scores_of(np.random.default_rng(4), [50, 80], 0.8)
    sides = probabilities[labels == 1, 1], probabilities[labels == 0, 1]

    def area(ours, others, axis):
        assert axis == -1
        return (ours[..., :, None] > others[..., None, :]).mean(axis=(-2, -1))

    expected = stats.bootstrap(
        sides, area, n_resamples=4000, method="percentile", batch=200, rng=np.random.default_rng(0), vectorized=True
    )
    found = drawn(labels, probabilities, draws=4000).auc
    assert found[1:, 1].std(ddof=1) == pytest.approx(expected.standard_error, rel=0.05)
    assert found[:, 0] == pytest.approx(found[:, 1])


def test_draws_of_macro_averages_vary_as_plain_resampling(case):
    labels, probabilities = case
    random = np.random.default_rng(6)
    plain = []
    for _ in range(300):
        rows = np.concatenate(
            [random.choice(np.flatnonzero(labels == index), (labels == index).sum()) for index in range(3)]
        )
        auc = reference.roc_auc_score(labels[rows], probabilities[rows], multi_class="ovr")
        plain.append((reference.f1_score(labels[rows], probabilities[rows].argmax(axis=1), average="macro"), auc))
    found = drawn(labels, probabilities, draws=2000)
    here = found.f1.mean(axis=1)[1:].std(), found.auc.mean(axis=1)[1:].std()
    assert here == pytest.approx(np.std(plain, axis=0), rel=0.12)


def test_the_interval_of_the_loss_is_the_studentised_one(case):
    """Written out again, with other draws."""
    labels, probabilities = case
    losses = losses_of(labels, probabilities)
    random = np.random.default_rng(7)
    parts = [losses[labels == index] for index in range(3)]
    shares = [len(part) / len(losses) for part in parts]
    resampled = [random.choice(part, (20_000, len(part))) for part in parts]
    means = sum(share * rows.mean(axis=1) for share, rows in zip(shares, resampled, strict=True))
    errors = sum(share**2 * stats.sem(rows, axis=1) ** 2 for share, rows in zip(shares, resampled, strict=True)) ** 0.5
    error = math.sqrt(sum(share**2 * stats.sem(part) ** 2 for share, part in zip(shares, parts, strict=True)))
    low, high = np.quantile((means - losses.mean()) / errors, [0.025, 0.975])
    found = intervals(labels, probabilities, draws=20_000).loss
    assert found == pytest.approx((losses.mean() - high * error, losses.mean() - low * error), abs=0.05 * error)


def test_every_interval_holds_its_own_value_and_grows_with_the_level(case):
    labels, probabilities = case
    values, narrow, wide = drawn(labels, probabilities), intervals(*case, level=0.8), intervals(*case, level=0.95)
    own = (values.recall[0].mean(), values.f1[0].mean(), values.auc[0].mean(), values.loss[0], *values.f1[0])
    pairs = [
        (found.balanced_accuracy, found.f1, found.auc, found.loss, *found.class_f1, *found.class_auc)
        for found in (narrow, wide)
    ]
    for value, inner, outer in zip((*own, *values.auc[0]), *pairs, strict=True):
        assert outer[0] < inner[0] < value < inner[1] < outer[1]
        assert outer[0] >= 0 and (value == values.loss[0] or outer[1] <= 1)


def test_the_seed_decides_and_matters_little(case):
    first, again, other = intervals(*case), intervals(*case), intervals(*case, seed=6)
    assert first == again and first != other
    assert first.f1 == pytest.approx(other.f1, abs=0.01)
    assert first.loss == pytest.approx(other.loss, abs=0.02)


def test_more_images_make_narrower_intervals(case):
    labels, probabilities = case
    once, four = intervals(*case), intervals(np.tile(labels, 4), np.tile(probabilities, (4, 1)))
    for name in ("balanced_accuracy", "f1", "auc", "loss"):
        (low, high), (lower, higher) = getattr(once, name), getattr(four, name)
        assert (higher - lower) / (high - low) == pytest.approx(0.5, abs=0.06)


def test_without_an_error_the_interval_is_no_point():
    labels = np.repeat([0, 1, 2], [40, 20, 40])
    found = intervals(labels, 0.98 * np.eye(3)[labels] + 0.01)
    worth = 9 / (1 / 40 + 1 / 20 + 1 / 40)
    for interval in (found.balanced_accuracy, found.f1):
        assert interval == pytest.approx((worth / (worth + 1.959964**2), 1), abs=1e-6)
    assert found.class_f1[1] == pytest.approx((40 / (40 + 1.959964**2), 1), abs=1e-6)
    assert found.class_auc[1] == pytest.approx((60 / (60 + 1.959964**2), 1), abs=1e-6)
    assert found.auc[0] < 1 == found.auc[1]
    assert found.loss is None


def test_an_always_equal_answer_still_has_intervals():
    labels = np.repeat([0, 1], 10)
    found = intervals(labels, np.tile([0.7, 0.3], (20, 1)))
    assert found.balanced_accuracy[0] < 0.5 < found.balanced_accuracy[1]
    assert found.class_auc[0][0] < 0.5 < found.class_auc[0][1]
    assert found.class_f1[1][0] == 0 < found.class_f1[1][1]


def test_classes_without_images_and_with_one():
    labels = np.array([0] * 12 + [2])
    probabilities = np.full((13, 4), 0.1) + 0.6 * np.eye(4)[[0] * 10 + [1, 2, 2]]
    found = intervals(labels, probabilities)
    assert [interval is None for interval in found.class_f1] == [False, True, False, True]
    assert [interval is None for interval in found.class_auc] == [False, True, False, True]
    assert 0 < found.f1[0] < found.f1[1] < 1
    assert found.class_auc[2] is not None and found.loss is not None


def test_one_class_or_one_image_alone():
    alone = intervals(np.zeros(5, int), np.tile([0.9, 0.1], (5, 1)))
    assert alone.auc is None and alone.class_auc == (None, None) and alone.balanced_accuracy[1] == 1
    single = intervals(np.array([1]), np.array([[0.3, 0.7]]))
    assert single.loss is None and single.balanced_accuracy[0] < 0.3 and single.auc is None


def test_memory_stays_small():
    labels, probabilities = scores_of(np.random.default_rng(8), [10_000, 10_000], 2.0)
    losses = losses_of(labels, probabilities)
    tracemalloc.start()
    bootstrap_intervals(labels, probabilities, losses, seed=0, draws=300)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


def test_many_classes_take_seconds():
    labels, probabilities = scores_of(np.random.default_rng(9), [20] * 102, 3.0)
    start = time.process_time()
    intervals(labels, probabilities)
    assert time.process_time() - start < 5


def coverage(sizes, apart, *, times, draws):
    """Return by measure how often the truth, measured on 1,000 times the images, lies inside."""
    random = np.random.default_rng(9)
    labels, probabilities = scores_of(random, [1000 * size for size in sizes], apart)
    truth = drawn(labels, probabilities, draws=1)
    values = {
        "balanced_accuracy": truth.recall[0].mean(),
        "f1": truth.f1[0].mean(),
        "auc": truth.auc[0].mean(),
        "loss": truth.loss[0],
    }
    held = dict.fromkeys([*values, "class_f1", "class_auc"], 0.0)
    for seed in range(times):
        found = intervals(*scores_of(random, sizes, apart), seed=seed, draws=draws)
        for name, value in values.items():
            held[name] += getattr(found, name)[0] <= value <= getattr(found, name)[1]
        held["class_f1"] += found.class_f1[0][0] <= truth.f1[0, 0] <= found.class_f1[0][1]
        held["class_auc"] += found.class_auc[0][0] <= truth.auc[0, 0] <= found.class_auc[0][1]
    return {name: count / times for name, count in held.items()}


@pytest.mark.slow
def test_intervals_cover_the_truth():
    """Design: 2,000 sets of 400 images in 4 equal classes, Gaussian logits, accuracy 0.82, AUC 0.96."""
    covers = coverage([100] * 4, 2.0, times=SIMULATED, draws=400)
    for name, share in covers.items():
        assert 0.93 <= share <= 0.97, (name, share)


@pytest.mark.slow
def test_intervals_of_a_nearly_perfect_classifier_cover_the_truth():
    """Design: as above, but unequal classes and an accuracy of 0.98; AUC 0.9995 may be covered more often."""
    covers = coverage([40, 80, 120, 160], 3.6, times=SIMULATED, draws=300)
    for name, share in covers.items():
        assert share >= 0.93, (name, share)
    assert max(covers["balanced_accuracy"], covers["f1"], covers["loss"]) <= 0.985
