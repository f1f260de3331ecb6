import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import PredefinedSplit
from sklearn.preprocessing import StandardScaler

from headstart.recipe import Head
from headstart.training import logistic
from headstart.training.bank import train_bank
from headstart.training.heads import forward, smoothed_targets, softmax
from headstart.training.logistic import PENALTIES, fit_logistic, inner_folds, principal_axes

LOGISTIC = Head(output="logistic")


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    features: np.ndarray
    labels: np.ndarray
    classes: int


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """Solve further than studies do, whose rest ``test_what_is_left_to_gain`` measures."""
    enough = logistic.FINAL_GRADIENT
    monkeypatch.setattr(logistic, "FINAL_GRADIENT", 1e-6)
    return enough


@pytest.fixture(scope="module")
def offset(sample):
    """Features of unlike scale, far from zero: only standardised they are alike."""
    inputs = sample.features.shape[1]
    return dataclasses.replace(sample, features=sample.features * np.logspace(-2, 2, inputs, dtype=np.float32) + 7)


@pytest.fixture
def job(make_job):
    return make_job(head=LOGISTIC)


def fit_of(sample, job):
    return fit_logistic(sample.features, sample.labels, job, classes=sample.classes)


def probabilities(sample, fit):
    return softmax(forward(LOGISTIC, fit.weights, sample.features))


def solved_by_scikit_learn(sample, job, penalty, **options):
    """Return the probabilities of all images by scikit-learn."""
    scaler = StandardScaler().fit(sample.features[job.train].astype(np.float64))
    model = LogisticRegression(C=1 / (len(job.train) * penalty), tol=1e-10, max_iter=10_000, **options)
    model.fit(scaler.transform(sample.features[job.train]), sample.labels[job.train])
    return model.predict_proba(scaler.transform(sample.features.astype(np.float64)))


@pytest.mark.parametrize("penalty", [10.0, 0.1, 0.001])
def test_folded_weights_give_the_probabilities_of_scikit_learn(offset, job, monkeypatch, penalty):
    monkeypatch.setattr(logistic, "PENALTIES", (penalty,))
    fit = fit_of(offset, job)
    assert [part.dtype for part in fit.weights] == [np.float32, np.float32]
    assert probabilities(offset, fit) == pytest.approx(solved_by_scikit_learn(offset, job, penalty), abs=1e-3)


@pytest.mark.parametrize("penalty", [1.0, 0.03, 0.001])
def test_what_is_left_to_gain(offset, job, monkeypatch, exact, penalty):
    monkeypatch.setattr(logistic, "PENALTIES", (penalty,))
    scale = StandardScaler().fit(offset.features[job.train].astype(np.float64)).scale_

    def minimised(gradient):
        monkeypatch.setattr(logistic, "FINAL_GRADIENT", gradient)
        fit = fit_of(offset, job)
        squares = np.sum(np.square(fit.weights[0].astype(np.float64) * scale[:, None]))
        found = probabilities(offset, fit)[job.train].astype(np.float64)
        return log_loss(offset.labels[job.train], found / found.sum(axis=1, keepdims=True)) + penalty / 2 * squares

    assert abs(minimised(exact) - minimised(1e-7)) < 2e-6


def test_class_weights_are_those_of_scikit_learn(offset, make_job, monkeypatch):
    monkeypatch.setattr(logistic, "PENALTIES", (0.05,))
    moved = (offset.labels == 1) & (np.arange(len(offset.labels)) % 3 > 0)
    uneven = dataclasses.replace(offset, labels=np.where(moved, 0, offset.labels))
    found = probabilities(uneven, fit_of(uneven, make_job(head=LOGISTIC, class_weights="balanced")))
    expected = solved_by_scikit_learn(uneven, make_job(), 0.05, class_weight="balanced")
    assert found == pytest.approx(expected, abs=1e-3)
    assert found != pytest.approx(probabilities(uneven, fit_of(uneven, make_job(head=LOGISTIC))), abs=1e-2)


def test_a_class_without_images_gets_next_to_nothing(offset, make_job):
    without = dataclasses.replace(offset, labels=np.where(offset.labels == 1, 0, offset.labels))
    for weighing in ("none", "balanced"):
        found = probabilities(without, fit_of(without, make_job(head=LOGISTIC, class_weights=weighing)))
        assert found[:, 1].max() < 1e-3


def test_smoothed_labels_are_images_that_belong_to_every_class_a_little(offset, make_job, monkeypatch):
    monkeypatch.setattr(logistic, "PENALTIES", (0.05,))
    job, classes = make_job(head=LOGISTIC, label_smoothing=0.2), offset.classes
    features = StandardScaler().fit_transform(offset.features[job.train].astype(np.float64))
    shares = smoothed_targets(job.settings, classes)[offset.labels[job.train]]
    model = LogisticRegression(C=1 / (len(job.train) * 0.05), tol=1e-10, max_iter=10_000)
    repeated = np.repeat(features, classes, axis=0)
    model.fit(repeated, np.tile(np.arange(classes), len(features)), sample_weight=shares.ravel())
    found = probabilities(offset, fit_of(offset, job))[job.train]
    assert found == pytest.approx(model.predict_proba(features), abs=1e-3)


def best_of_the_grid(sample, job):
    """Return the place of the penalty with the lowest log loss on the inner folds, all tried by scikit-learn."""
    features = StandardScaler().fit_transform(sample.features[job.train].astype(np.float64))
    labels = sample.labels[job.train]
    losses = []
    for penalty in PENALTIES:
        losses.append(0.0)
        for train, test in PredefinedSplit(inner_folds(labels, job)).split():
            model = LogisticRegression(C=1 / (len(train) * penalty), solver="newton-cholesky", max_iter=100)
            model.fit(features[train], labels[train])
            losses[-1] += log_loss(labels[test], model.predict_proba(features[test]), normalize=False)
    return int(np.argmin(losses))


@pytest.mark.parametrize("first", [0, logistic.FIRST, 9, 11])
@pytest.mark.parametrize("noise", [0.0, 3.0, 30.0])
def test_penalty_is_the_one_with_the_lowest_log_loss_on_inner_folds(offset, job, monkeypatch, noise, first):
    """Wherever the search begins; the more noise there is, the stronger a penalty is best."""
    drawn = np.random.default_rng(11).normal(size=offset.features.shape) * np.std(offset.features, axis=0)
    noisy = dataclasses.replace(offset, features=(offset.features + noise * drawn).astype(np.float32))
    best = best_of_the_grid(noisy, job)
    assert (1 if noise < 30 else -1) < best < len(PENALTIES) - 3
    monkeypatch.setattr(logistic, "FIRST", first)
    expected = solved_by_scikit_learn(noisy, job, PENALTIES[best])
    assert probabilities(noisy, fit_of(noisy, job)) == pytest.approx(expected, abs=1e-3)


def test_fit_is_one_epoch_with_its_scores(offset, job):
    fit = fit_of(offset, job)
    (row,) = fit.history
    assert (row.epoch, row.phase, row.learning_rate, fit.best_epoch, fit.key) == (1, 1, 0.0, 1, job.key)
    found = probabilities(offset, fit)
    for metrics, rows in ((row.train, job.train), (row.validation, job.validation)):
        assert metrics.loss == pytest.approx(log_loss(offset.labels[rows], found[rows]), rel=1e-5)
        assert metrics.accuracy == np.mean(found[rows].argmax(axis=1) == offset.labels[rows])
    assert fit.best == fit.last
    assert (fit.best.epoch, fit.best.train, fit.best.validation) == (1, row.train, row.validation)
    assert softmax(fit.validation_logits) == pytest.approx(found[job.validation], abs=1e-6)


def test_without_validation_there_are_no_validation_scores(offset, job):
    fit = fit_of(offset, dataclasses.replace(job, validation=None))
    assert fit.validation_logits is None
    assert fit.best.validation is None
    assert all(np.array_equal(*pair) for pair in zip(fit.weights, fit_of(offset, job).weights, strict=True))


def test_what_is_held_in_memory_changes_bits_alone(offset, job, monkeypatch, tmp_path):
    """Principal axes or, where the rows are read anew in every pass, features as they are: one solution."""
    monkeypatch.setattr(logistic, "PART_VALUES", 200)  # 16 rows
    np.save(tmp_path / "features.npy", offset.features)
    fit = fit_of(offset, job)
    again = fit_of(offset, job)
    assert all(np.array_equal(*pair) for pair in zip(fit.weights, again.weights, strict=True))
    monkeypatch.setattr(logistic, "HELD_SHARE", 0)
    mapped = dataclasses.replace(offset, features=np.load(tmp_path / "features.npy", mmap_mode="r"))
    streamed = fit_of(mapped, job)
    assert probabilities(offset, streamed) == pytest.approx(probabilities(offset, fit), abs=1e-4)


def test_bank_solves_logistic_heads_beside_others(offset, job, make_job):
    """Both logistic jobs have other training rows, but one pair of axes."""
    plain, solved, other = train_bank(
        offset.features,
        offset.labels,
        [make_job(), job, make_job(2, head=LOGISTIC)],
        classes=offset.classes,
    )
    assert len(plain.history) == 3
    for fit, alone in ((solved, fit_of(offset, job)), (other, fit_of(offset, make_job(2, head=LOGISTIC)))):
        assert fit.key == alone.key
        assert probabilities(offset, fit) == pytest.approx(probabilities(offset, alone), abs=1e-4)


def test_axes_of_other_rows_give_the_same_solution(offset, job, make_job, monkeypatch):
    monkeypatch.setattr(logistic, "PENALTIES", (0.01,))
    other = make_job(3, head=LOGISTIC)
    axes = principal_axes(offset.features, np.arange(len(offset.features)))
    first = fit_logistic(offset.features, offset.labels, job, classes=offset.classes, axes=axes)
    fit = fit_logistic(offset.features, offset.labels, other, classes=offset.classes, axes=axes)
    assert axes.T @ axes == pytest.approx(np.eye(len(axes)), abs=5e-5)
    assert np.array_equal(axes, principal_axes(offset.features, np.arange(len(offset.features))))
    assert principal_axes(offset.features, job.train[: offset.features.shape[1] - 1]) is None
    assert probabilities(offset, first) == pytest.approx(probabilities(offset, fit_of(offset, job)), abs=5e-4)
    assert probabilities(offset, fit) == pytest.approx(solved_by_scikit_learn(offset, other, 0.01), abs=1e-3)


@pytest.mark.parametrize("penalty", [1.0, 0.01])
@pytest.mark.parametrize("classes", [3, 4])
def test_fewer_rows_than_features(make_job, monkeypatch, penalty, classes):
    """120 rows of 300 correlated features: the solution lies in the span of the rows."""
    random = np.random.default_rng(5)
    labels = random.integers(0, classes, 150)
    hidden = random.normal(size=(150, 20)) + random.normal(size=(classes, 20))[labels]
    features = (hidden @ random.normal(size=(20, 300)) + 0.3 * random.normal(size=(150, 300)) + 5).astype(np.float32)
    wide = Sample(features, labels, classes)
    monkeypatch.setattr(logistic, "PENALTIES", (penalty,))
    job = make_job(head=LOGISTIC)
    expected = solved_by_scikit_learn(wide, job, penalty)
    assert probabilities(wide, fit_of(wide, job)) == pytest.approx(expected, abs=3e-3)


def test_features_that_follow_from_others_change_nothing_but_the_penalty(offset, job, monkeypatch):
    """Every feature twice: half the penalty of a kernel that is shared between two."""
    twice = dataclasses.replace(offset, features=np.concatenate([offset.features] * 2, axis=1))
    monkeypatch.setattr(logistic, "PENALTIES", (0.02,))
    found = probabilities(twice, fit_of(twice, job))
    monkeypatch.setattr(logistic, "PENALTIES", (0.01,))
    assert found == pytest.approx(probabilities(offset, fit_of(offset, job)), abs=1e-3)


def test_features_that_do_not_vary_have_no_say(offset, job):
    features = offset.features.copy()
    features[:, [2, 5]] = [0, 1234.567]
    constant = dataclasses.replace(offset, features=features)
    kernel, _ = fit_of(constant, job).weights
    assert np.abs(kernel[[2, 5]]).max() < 1e-6
    assert np.abs(np.delete(kernel, [2, 5], axis=0)).min() > 0


@pytest.mark.parametrize("images", [1, 2, 7])
def test_very_few_images_give_finite_weights(offset, job, images):
    fit = fit_of(offset, dataclasses.replace(job, train=job.train[:images]))
    assert all(np.isfinite(part).all() for part in fit.weights)
    assert fit.best.train.accuracy == 1


def test_inner_folds_deal_classes_out_evenly(make_job):
    labels = np.repeat(np.arange(4), [50, 20, 7, 3])
    folds = inner_folds(labels, make_job())
    assert folds.shape == labels.shape
    counts = np.array([np.bincount(folds[labels == label], minlength=5) for label in range(4)])
    assert np.all(counts.max(axis=1) - counts.min(axis=1) <= 1)
    assert np.ptp(counts.sum(axis=0)) <= 1
    assert np.array_equal(folds, inner_folds(labels, make_job()))
    assert not np.array_equal(folds, inner_folds(labels, make_job(1)))


@pytest.mark.parametrize(("images", "folds"), [(1, 1), (3, 3), (1000, 5), (1001, 3)])
def test_number_of_inner_folds(make_job, images, folds):
    assert set(inner_folds(np.zeros(images, np.int64), make_job())) == set(range(folds))


def test_versions_of_an_image_stay_in_one_inner_fold(offset, make_job):
    labels = np.tile(np.arange(3), 20)
    folds = inner_folds(np.tile(labels, 3), make_job(versions=3))
    assert np.array_equal(folds.reshape(3, 60), np.tile(inner_folds(labels, make_job()), (3, 1)))


def test_inner_folds_do_not_divide_groups(make_job):
    labels = np.repeat([0, 1, 2], 40)
    groups = np.arange(120) // 4
    job = dataclasses.replace(make_job(head=LOGISTIC), train=np.arange(120), groups=groups)
    folds = inner_folds(labels, job)
    assert all(len(np.unique(folds[groups == group])) == 1 for group in range(30))
    assert sorted(np.bincount(folds)) == [24] * 5
