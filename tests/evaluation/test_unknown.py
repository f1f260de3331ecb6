"""Scores of unknown images against independent formulas; thresholds, areas and curves against loops."""

import io

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from headstart.evaluation import unknown
from headstart.evaluation.unknown import (
    ENERGY,
    MAHALANOBIS,
    METHODS,
    NEIGHBOURS,
    TOGETHER,
    Cloud,
    Detector,
    Signs,
    Store,
    auroc,
    choose_rows,
    coverage_curve,
    energy,
    fit_rule,
    joined,
    learn,
    make_detector,
    measure,
    threshold_keeping,
)

CLASSES, CHANNELS = 4, 24
random = np.random.default_rng(0)
CENTRES = random.uniform(0, 3, (CLASSES, CHANNELS))


def images(label, count, seed):
    noise = np.random.default_rng([seed, label]).normal(CENTRES[label], 0.4, (count, CHANNELS))
    return np.maximum(noise, 0).astype(np.float32)


def known_images(count, seed):
    features = np.concatenate([images(label, count, seed) for label in range(CLASSES)])
    return features, np.repeat(np.arange(CLASSES), count)


def logits_of(features):
    middle = CENTRES.mean(0)
    return ((features - middle) @ (CENTRES - middle).T).astype(np.float32)


FEATURES, LABELS = known_images(50, 1)
NEW, _ = known_images(40, 2)
STRANGE = np.maximum(np.random.default_rng(3).normal(CENTRES.mean(0), 0.7, (80, CHANNELS)), 0).astype(np.float32)
STORE, CLOUD = Store(FEATURES, LABELS), Cloud(FEATURES, LABELS, CLASSES)
KNOWN = {method: learn(method, FEATURES, LABELS, CLASSES) for method in METHODS}


def all_signs(features, left_out=None):
    near, roots = (STORE.distances(features, CLASSES, roots=roots) for roots in (False, True))
    gaussian = CLOUD.gaussian(left_out)
    return Signs(logits_of(features).astype(np.float64), near, roots, gaussian.distances(features))


def rows(features):
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def test_energy_is_minus_the_logarithm_of_the_sum():
    logits = np.random.default_rng(0).normal(0, 5, (30, 7))
    np.testing.assert_allclose(energy(logits), -logsumexp(logits, axis=1), rtol=1e-12)
    assert energy(np.array([[1e4, 0.0]])).tolist() == [-1e4]


@pytest.mark.parametrize("roots", [False, True])
def test_distances_are_those_of_scikit_learn(roots):
    change = np.sqrt if roots else np.asarray
    found = STORE.distances(STRANGE, CLASSES, roots=roots)
    for label in range(CLASSES):
        search = NearestNeighbors(n_neighbors=1).fit(rows(change(FEATURES[label == LABELS])))
        expected, _ = search.kneighbors(rows(change(STRANGE)))
        # the store is held as float16
        np.testing.assert_allclose(found[:, label], expected[:, 0], atol=2e-3)


def test_roots_keep_the_sign():
    np.testing.assert_allclose(unknown.rooted(np.float32([-4, 0, 9])), [-2, 0, 3])


def test_mahalanobis_distances_are_those_of_scipy():
    from scipy.spatial.distance import cdist
    from sklearn.covariance import EmpiricalCovariance, shrunk_covariance

    unit = rows(FEATURES.astype(np.float64))
    means = np.stack([unit[label == LABELS].mean(0) for label in range(CLASSES)])
    pooled = EmpiricalCovariance(assume_centered=True).fit(unit - means[LABELS]).covariance_
    inverse = np.linalg.inv(shrunk_covariance(pooled, unknown.SHRINKAGE))
    expected = cdist(rows(STRANGE.astype(np.float64)), means, "mahalanobis", VI=inverse)
    np.testing.assert_allclose(CLOUD.gaussian().distances(STRANGE), expected, rtol=2e-3)


def test_many_channels_are_thinned_for_the_covariance():
    wide = np.random.default_rng(0).normal(size=(12, 1500)).astype(np.float32)
    gaussian = Cloud(wide, np.repeat([0, 1, 2], 4), 3).gaussian()
    assert gaussian.precision.shape == (750, 750)
    assert gaussian.distances(wide).argmin(1).tolist() == np.repeat([0, 1, 2], 4).tolist()


def test_equal_images_have_finite_scores():
    features, labels = np.ones((6, 5), np.float32), np.repeat([0, 1], 3)
    assert np.isfinite(Store(features, labels).distances(np.zeros((2, 5)), 2, roots=False)).all()
    assert np.isfinite(Cloud(features, labels, 2).gaussian().distances(np.eye(5))).all()


@pytest.mark.parametrize("size", [1, 128, 129, 700])
def test_a_covariance_is_inverted_by_halves(size):
    draw = np.random.default_rng(size).normal(size=(3 * size, size))
    matrix = (draw.T @ draw / len(draw) + 0.3 * np.eye(size)).astype(np.float32)
    np.testing.assert_allclose(unknown._inverse(matrix), np.linalg.inv(matrix.astype(np.float64)), atol=2e-5)


@pytest.mark.parametrize("method", METHODS)
def test_a_class_left_out_is_as_if_it_had_never_been_seen(method):
    others = learn(method, FEATURES[LABELS != 2], LABELS[LABELS != 2], CLASSES)
    never = measure(others, logits_of(STRANGE), STRANGE).parts(method, 2)
    np.testing.assert_allclose(all_signs(STRANGE, 2).parts(method, 2), never, rtol=1e-3, atol=1e-4)


def test_a_class_without_images_is_infinitely_far():
    without = measure(None, logits_of(STRANGE), None).parts(ENERGY, 2)[:, 0]
    np.testing.assert_allclose(without, -logsumexp(logits_of(STRANGE)[:, [0, 1, 3]], axis=1), rtol=1e-6)
    others = Store(FEATURES[LABELS != 2], LABELS[LABELS != 2])
    assert np.isinf(others.distances(STRANGE, CLASSES, roots=False)[:, 2]).all()
    assert np.isinf(CLOUD.gaussian(2).distances(STRANGE)[:, 2]).all()


def test_a_method_measures_what_it_looks_at_and_no_more():
    for method in METHODS:
        found, whole = measure(KNOWN[method], logits_of(NEW), NEW), all_signs(NEW)
        np.testing.assert_allclose(found.parts(method), whole.parts(method), atol=1e-3)
        there = {name for name in ("near", "near_roots", "mahalanobis") if getattr(found, name) is not None}
        expected = {NEIGHBOURS: {"near"}, TOGETHER: {"near", "near_roots"}, MAHALANOBIS: {"mahalanobis"}}
        assert there == expected.get(method, set())


@pytest.mark.parametrize("method", METHODS)
def test_signs_of_parts_are_signs_of_the_whole(method):
    logits = logits_of(NEW)
    whole = measure(KNOWN[method], logits, NEW)
    parts = joined([measure(KNOWN[method], logits[part], NEW[part]) for part in (slice(0, 70), slice(70, None))])
    np.testing.assert_allclose(parts.parts(method), whole.parts(method), atol=1e-3)
    np.testing.assert_allclose(whole.take(np.arange(5)).parts(method), whole.parts(method)[:5])


@pytest.mark.parametrize("method", METHODS)
def test_a_detector_refuses_the_strange_and_keeps_the_known(method):
    calibration, _ = known_images(200, 5)
    rule = fit_rule(method, measure(KNOWN[method], logits_of(calibration), calibration))
    detector = make_detector(rule, KNOWN[method])
    assert np.mean(detector.score(logits_of(calibration), calibration) <= detector.threshold) == pytest.approx(
        0.95, abs=0.01
    )
    fresh, _ = known_images(200, 6)
    assert 0.92 <= np.mean(detector.score(logits_of(fresh), fresh) <= detector.threshold) <= 0.98
    known, strange = detector.score(logits_of(NEW), NEW), detector.score(logits_of(STRANGE), STRANGE)
    assert auroc(known, strange) > 0.9
    np.testing.assert_allclose(known, rule.score(measure(KNOWN[method], logits_of(NEW), NEW)), rtol=1e-6, atol=1e-6)


def test_scores_that_are_added_up_are_standardised():
    signs = all_signs(NEW)
    parts = signs.parts(TOGETHER)
    expected = sum((column - column.mean()) / column.std() for column in parts.T)
    np.testing.assert_allclose(fit_rule(TOGETHER, signs).score(signs), expected, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_a_detector_travels_as_plain_arrays(method):
    detector = make_detector(fit_rule(method, measure(KNOWN[method], logits_of(NEW), NEW)), KNOWN[method])
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **detector.arrays)
    stream.seek(0)
    with np.load(stream, allow_pickle=False) as arrays:
        again = Detector(detector.method, detector.threshold, dict(arrays))
    features = None if method == ENERGY else STRANGE
    assert bool(detector.arrays) == (method != ENERGY)
    scores = detector.score(logits_of(STRANGE), STRANGE)
    np.testing.assert_array_equal(again.score(logits_of(STRANGE), features), scores)
    # one image at a time says the same
    one = [again.score(logits_of(image[None]), image[None])[0] for image in STRANGE[:5]]
    np.testing.assert_allclose(one, scores[:5], rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize(
    ("method", "arrays", "message"),
    [
        ("guess", {}, "must be one of"),
        (NEIGHBOURS, {}, "needs the arrays"),
        (NEIGHBOURS, {"store": np.ones(3)}, "needs the arrays"),
        (NEIGHBOURS, {"store": np.ones((0, 3))}, "needs the arrays"),
        (ENERGY, {"store": np.ones((2, 3))}, "needs the arrays"),
        (TOGETHER, {"store": np.ones((2, 3)), "centre": np.ones(3), "spread": np.ones(2)}, "needs the arrays"),
        (MAHALANOBIS, {"means": np.ones((2, 3)), "precision": np.ones((2, 3))}, "needs the arrays"),
    ],
)
def test_arrays_that_make_no_detector_are_refused(method, arrays, message):
    with pytest.raises(ValueError, match=message):
        Detector(method, 0.0, arrays)


def test_a_detector_that_needs_features_says_so():
    with pytest.raises(ValueError, match="needs features"):
        make_detector(fit_rule(NEIGHBOURS, all_signs(NEW)), KNOWN[NEIGHBOURS]).score(logits_of(NEW), None)
    with pytest.raises(ValueError, match="needs features"):
        measure(None, logits_of(NEW), None).parts(NEIGHBOURS)


def test_a_store_is_bounded_and_fair_to_small_classes():
    labels = np.repeat([0, 1, 2], [9000, 500, 3000])[np.random.default_rng(0).permutation(12_500)]
    chosen = choose_rows(labels, 1024, seed=4)
    assert len(chosen) == unknown.MOST_ROWS and np.all(np.diff(chosen) > 0)
    assert np.bincount(labels[chosen]).tolist() == [1250, 500, 1250]
    np.testing.assert_array_equal(chosen, choose_rows(labels, 1024, seed=4))
    assert not np.array_equal(chosen, choose_rows(labels, 1024, seed=5))
    assert len(choose_rows(labels, 2048, seed=0)) == 2048
    assert choose_rows(labels[:100], 2048, seed=0).tolist() == list(range(100))


def test_a_stored_detector_is_a_few_megabytes():
    features = np.random.default_rng(0).random((2048, 2048), np.float32)
    for method in METHODS:
        known = learn(method, features, np.arange(2048) % 5, 5)
        rule = unknown.Rule(method, np.zeros(3), np.ones(3), 0.0)
        assert sum(array.nbytes for array in make_detector(rule, known).arrays.values()) < 9e6


@pytest.mark.parametrize("count", [1, 19, 20, 21, 1000])
def test_a_threshold_keeps_95_of_100(count):
    scores = np.random.default_rng(count).normal(size=count)
    threshold = threshold_keeping(scores)
    assert np.mean(scores <= threshold) >= 0.95 > np.mean(scores < threshold)


def test_the_area_is_that_of_scikit_learn_with_ties():
    draw = np.random.default_rng(0)
    for size in (3, 50, 400):
        known, strange = draw.integers(0, 12, size), draw.integers(3, 15, size // 2 + 1)
        labels = np.repeat([0, 1], [len(known), len(strange)])
        assert auroc(known, strange) == pytest.approx(roc_auc_score(labels, np.concatenate([known, strange])))
    assert auroc(known, np.zeros(0)) is None and auroc(np.zeros(0), strange) is None


def curve_by_hand(labels, probabilities):
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    for least in sorted(set(confidence), reverse=True):
        kept = confidence >= least
        yield kept.mean(), right[kept].mean(), least


def test_the_coverage_curve_is_that_of_a_loop():
    draw = np.random.default_rng(0)
    probabilities = np.round(draw.dirichlet(np.ones(3), 60), 2)
    labels = draw.integers(0, 3, 60)
    found = [(one.coverage, one.accuracy, one.confidence) for one in coverage_curve(labels, probabilities)]
    np.testing.assert_allclose(found, list(curve_by_hand(labels, probabilities)))


def test_a_long_coverage_curve_is_thinned():
    draw = np.random.default_rng(0)
    probabilities, labels = draw.dirichlet(np.ones(3), 5000), draw.integers(0, 3, 5000)
    found = coverage_curve(labels, probabilities)
    assert len(found) == unknown.CURVE_POINTS
    confidence = probabilities.max(1)
    assert [one.coverage for one in found] == [np.mean(confidence >= one.confidence) for one in found]
    assert found[-1].coverage == 1 and found[-1].accuracy == np.mean(probabilities.argmax(1) == labels)
    assert coverage_curve(labels[:0], probabilities[:0]) == ()
