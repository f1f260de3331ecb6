"""Every number against scikit-learn, and by its properties."""

import dataclasses
import json
import math

import numpy as np
import pytest
from sklearn import metrics as reference

from headstart import storage
from headstart.evaluation.bootstrap import bootstrap_intervals
from headstart.evaluation.intervals import corrected_interval, wilson_interval
from headstart.evaluation.metrics import (
    area_under_roc,
    average_precision,
    confusion_matrix,
    cross_entropy,
    evaluate,
    fold_values,
    precision_recall_curve,
    roc_curve,
)
from headstart.evaluation.results import Evaluation

CLASSES = ("ant", "bee", "cat", "dog", "elk", "fox")


def random_case(seed, *, images=200, classes=6, decimals=2):
    """Labels and probabilities; few decimals make many ties."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, images)
    logits = random.normal(size=(images, classes)) + 1.5 * np.eye(classes)[labels]
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rounded = np.round(shares, decimals) + 10.0**-decimals
    return labels, rounded / rounded.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(5))
def test_evaluation_equals_scikit_learn(seed):
    labels, probabilities = random_case(seed)
    predicted = probabilities.argmax(axis=1)
    result = evaluate(labels, probabilities, CLASSES)
    assert result.accuracy == pytest.approx(reference.accuracy_score(labels, predicted))
    assert result.loss == pytest.approx(reference.log_loss(labels, probabilities, labels=range(6)), rel=1e-12)
    assert result.balanced_accuracy == pytest.approx(reference.balanced_accuracy_score(labels, predicted))
    assert np.array_equal(result.confusion_matrix, reference.confusion_matrix(labels, predicted))
    for name, average in (("macro", result.averages.macro), ("weighted", result.averages.weighted)):
        precision, recall, f1, _ = reference.precision_recall_fscore_support(labels, predicted, average=name)
        assert (average.precision, average.recall, average.f1) == pytest.approx((precision, recall, f1))
        auc = reference.roc_auc_score(labels, probabilities, multi_class="ovr", average=name)
        assert average.auc == pytest.approx(auc)
        precisions = reference.average_precision_score(np.eye(6)[labels], probabilities, average=name)
        assert average.average_precision == pytest.approx(precisions)


@pytest.mark.parametrize("seed", range(3))
def test_precision_and_recall_at_half_equal_keras(seed):
    keras = pytest.importorskip("keras")
    labels, probabilities = random_case(seed)
    result = evaluate(labels, probabilities, CLASSES)
    for metric, value in (
        (keras.metrics.Precision(), result.precision_at_half),
        (keras.metrics.Recall(), result.recall_at_half),
    ):
        metric.update_state(np.eye(6)[labels], probabilities)
        assert value == pytest.approx(float(metric.result()), abs=1e-6)


def test_precision_at_half_needs_a_class_above_half():
    result = evaluate(np.array([0, 1]), np.full((2, 4), 0.25), CLASSES[:4])
    assert result.precision_at_half is None and result.recall_at_half == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_top_k_equals_scikit_learn_where_nothing_is_tied(seed):
    labels, probabilities = random_case(seed, decimals=9)
    result = evaluate(labels, probabilities, CLASSES)
    assert set(result.top_k) == {"2", "3", "5"}
    for k, share in result.top_k.items():
        assert share == pytest.approx(reference.top_k_accuracy_score(labels, probabilities, k=int(k)))


@pytest.mark.parametrize("seed", range(3))
def test_each_class_against_the_rest_equals_scikit_learn(seed):
    labels, probabilities = random_case(seed)
    predicted = probabilities.argmax(axis=1)
    tables = reference.multilabel_confusion_matrix(labels, predicted)
    for index, row in enumerate(evaluate(labels, probabilities, CLASSES).per_class):
        positive = labels == index
        assert row.class_ == CLASSES[index]
        assert [[row.tn, row.fp], [row.fn, row.tp]] == tables[index].tolist()
        assert row.support == positive.sum() == row.tp + row.fn
        assert row.accuracy == pytest.approx(reference.accuracy_score(positive, predicted == index))
        assert row.specificity == pytest.approx(reference.recall_score(~positive, predicted != index))
        assert row.auc == pytest.approx(reference.roc_auc_score(positive, probabilities[:, index]))
        expected = reference.average_precision_score(positive, probabilities[:, index])
        assert row.average_precision == pytest.approx(expected)


def test_a_perfect_model_has_perfect_numbers():
    labels = np.arange(30) % 3
    result = evaluate(labels, np.eye(3)[labels], CLASSES[:3])
    assert result.accuracy == result.balanced_accuracy == 1.0
    assert result.loss == pytest.approx(-math.log(1 - 1e-7))
    assert set(result.top_k) == {"2"}
    for row in result.per_class:
        assert (row.precision, row.recall, row.specificity, row.f1, row.auc, row.average_precision) == (1,) * 6
    assert result.intervals["accuracy"][1] == 1.0


def test_renaming_the_classes_permutes_the_result():
    labels, probabilities = random_case(7, decimals=9)
    order = np.array([3, 0, 5, 1, 4, 2])
    plain = evaluate(labels, probabilities, CLASSES)
    turned = evaluate(np.argsort(order)[labels], probabilities[:, order], [CLASSES[index] for index in order])
    assert turned.loss == pytest.approx(plain.loss)
    assert turned.accuracy == plain.accuracy
    assert turned.top_k == plain.top_k
    assert {row.class_: row for row in turned.per_class} == {row.class_: row for row in plain.per_class}
    assert np.array_equal(turned.confusion_matrix, np.asarray(plain.confusion_matrix)[np.ix_(order, order)])


def test_an_absent_class_has_no_ratios_and_stays_out_of_the_averages():
    labels, probabilities = random_case(1, classes=3)
    labels[labels == 2] = 0
    result = evaluate(labels, probabilities, CLASSES[:3])
    absent = result.per_class[2]
    assert absent.support == 0
    assert absent.recall is None and absent.auc is None and absent.average_precision is None
    recalls = [row.recall for row in result.per_class[:2]]
    assert result.balanced_accuracy == pytest.approx(np.mean(recalls))
    assert result.averages.macro.recall == pytest.approx(np.mean(recalls))
    assert result.averages.weighted.recall == pytest.approx(result.accuracy)


def test_one_class_predicted_only():
    labels = np.array([0, 0, 1, 2])
    result = evaluate(labels, np.tile([0.5, 0.3, 0.2], (4, 1)), CLASSES[:3])
    assert [row.precision for row in result.per_class] == [0.5, None, None]
    assert [row.recall for row in result.per_class] == [1.0, 0.0, 0.0]
    assert [row.f1 for row in result.per_class] == pytest.approx([2 / 3, 0.0, 0.0])
    assert [row.auc for row in result.per_class] == [0.5, 0.5, 0.5]
    assert [row.average_precision for row in result.per_class] == [0.5, 0.25, 0.25]
    for name, average in (("macro", result.averages.macro), ("weighted", result.averages.weighted)):
        expected = reference.precision_score(labels, np.zeros(4, int), average=name, zero_division=0)
        assert average.precision == pytest.approx(expected)


def test_only_one_true_class_leaves_the_curve_undefined():
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6]])
    result = evaluate(np.array([0, 0]), probabilities, CLASSES[:2])
    assert [row.auc for row in result.per_class] == [None, None]
    assert [row.average_precision for row in result.per_class] == [1.0, None]
    assert result.averages.macro.auc is None
    assert result.top_k == {}
    assert roc_curve(np.array([0, 0]), probabilities, 0) is None


def test_loss_clips_like_keras():
    labels = np.array([0, 1])
    probabilities = np.array([[0.0, 1.0], [0.0, 1.0]])
    assert cross_entropy(labels, probabilities) == pytest.approx((-math.log(1e-7) - math.log(1 - 1e-7)) / 2)


def test_single_precision_gives_the_same_numbers():
    labels, probabilities = random_case(3)
    single = probabilities.astype(np.float32)
    assert evaluate(labels, single, CLASSES) == evaluate(labels, single.astype(np.float64), CLASSES)


@pytest.mark.parametrize(
    ("labels", "probabilities", "words"),
    [
        (np.zeros(0, int), np.zeros((0, 2)), "at least one image"),
        (np.zeros(3, int), np.full((2, 2), 0.5), "Received: .3,. and .2, 2."),
        (np.array([2]), np.array([[0.5, 0.5]]), "labels must be 0 to 1"),
        (np.array([0]), np.array([[np.nan, 0.5]]), "NaN"),
        (np.array([0]), np.array([[-0.5, 1.5]]), "negative"),
    ],
)
def test_impossible_arguments_are_refused(labels, probabilities, words):
    with pytest.raises(ValueError, match=words):
        evaluate(labels, probabilities, CLASSES[:2])


@pytest.mark.parametrize("decimals", [1, 9])
def test_roc_curve_is_scikit_learns_line(decimals):
    labels, probabilities = random_case(11, decimals=decimals)
    curve = roc_curve(labels, probabilities, 2)
    x, y, _ = reference.roc_curve(labels == 2, probabilities[:, 2], drop_intermediate=False)
    assert (curve.false_positive_rate[0], curve.true_positive_rate[0]) == (0, 0)
    assert (curve.false_positive_rate[-1], curve.true_positive_rate[-1]) == (1, 1)
    full = set(zip(x.tolist(), y.tolist(), strict=True))
    assert set(zip(curve.false_positive_rate.tolist(), curve.true_positive_rate.tolist(), strict=True)) <= full
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    assert area == pytest.approx(reference.roc_auc_score(labels == 2, probabilities[:, 2]), abs=1e-12)


def test_a_long_roc_curve_is_thinned_without_moving():
    labels, probabilities = random_case(5, images=60_000, classes=3, decimals=9)
    curve = roc_curve(labels, probabilities, 0)
    assert len(curve.false_positive_rate) < 2000
    x, y, _ = reference.roc_curve(labels == 0, probabilities[:, 0])
    along = curve.false_positive_rate + curve.true_positive_rate
    assert np.abs(np.interp(x + y, along, curve.false_positive_rate) - x).max() < 1 / 400
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    assert area == pytest.approx(area_under_roc(labels == 0, probabilities[:, 0]), abs=1e-3)


@pytest.mark.parametrize("decimals", [1, 9])
def test_precision_recall_curve_is_scikit_learns(decimals):
    labels, probabilities = random_case(11, decimals=decimals)
    curve = precision_recall_curve(labels, probabilities, 2)
    precision, recall, _ = reference.precision_recall_curve(labels == 2, probabilities[:, 2], drop_intermediate=True)
    assert curve.recall == pytest.approx(recall[::-1])
    assert curve.precision == pytest.approx(precision[::-1])
    steps = np.sum(np.diff(curve.recall) * curve.precision[1:])
    assert steps == pytest.approx(reference.average_precision_score(labels == 2, probabilities[:, 2]))


def test_a_long_precision_recall_curve_is_thinned_without_moving():
    labels, probabilities = random_case(5, images=60_000, classes=3, decimals=9)
    curve = precision_recall_curve(labels, probabilities, 0)
    assert len(curve.recall) < 2000
    precision, recall, _ = reference.precision_recall_curve(labels == 0, probabilities[:, 0])
    full = set(zip(recall.tolist(), precision.tolist(), strict=True))
    assert set(zip(curve.recall.tolist(), curve.precision.tolist(), strict=True)) <= full
    assert np.all(np.diff(curve.recall) >= 0) and (curve.recall[0], curve.recall[-1]) == (0, 1)
    steady = (recall > 0.02) & (recall < 1)
    drawn = np.interp(recall[steady], curve.recall, curve.precision)
    assert np.abs(drawn - precision[steady]).max() < 2 / 400
    steps = np.sum(np.diff(curve.recall) * curve.precision[1:])
    assert steps == pytest.approx(average_precision(labels == 0, probabilities[:, 0]), abs=2e-3)


def test_precision_recall_curve_of_extremes():
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6]])
    assert precision_recall_curve(np.array([0, 0]), probabilities, 1) is None
    every = precision_recall_curve(np.array([0, 0]), probabilities, 0)
    assert every.precision.tolist() == [1, 1, 1] and every.recall.tolist() == [0, 0.5, 1]


def test_areas_are_undefined_without_positives():
    scores = np.array([0.1, 0.2])
    assert area_under_roc(np.zeros(2, bool), scores) is None
    assert average_precision(np.zeros(2, bool), scores) is None
    assert average_precision(np.ones(2, bool), scores) == 1.0


def test_confusion_matrix_counts_rows_as_truth():
    matrix = confusion_matrix(np.array([0, 0, 2]), np.array([1, 0, 1]), 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 0]]


def test_fold_values():
    values = fold_values([0.8, 0.9, 1.0], [0.7, 0.9, 0.8])
    assert values.folds == (0.8, 0.9, 1.0)
    assert values.mean == pytest.approx(0.9)
    assert values.std == pytest.approx(0.1)
    assert values.last_epoch_mean == pytest.approx(0.8)
    assert values.ci95 is None
    assert fold_values([0.5], [0.4]).std is None
    with pytest.raises(ValueError, match="at least one"):
        fold_values([], [])


def test_fold_values_carry_the_corrected_interval():
    folds = [0.8, 0.9, 0.95, 0.85, 0.9]
    assert fold_values(folds, folds, test_share=0.25).ci95 == corrected_interval(folds, 0.25)
    assert fold_values([0.5], [0.5], test_share=0.25).ci95 is None
    assert fold_values([0.5, math.nan], [0.5, 0.5], test_share=0.25).ci95 is None
    cut = fold_values([0.9, 1.0], [0.9, 1.0], test_share=1, bounds=(0, 1))
    assert cut.ci95 == (0.0, 1.0)
    assert fold_values([0.9, 1.0], [0.9, 1.0], test_share=1, bounds=(-math.inf, 1)).ci95 == pytest.approx(
        (0.95 - 12.7062 * 0.0866025, 1), abs=1e-4
    )


def test_accuracy_carries_its_wilson_interval():
    labels, probabilities = random_case(2)
    result = evaluate(labels, probabilities, CLASSES)
    assert result.intervals == {"accuracy": wilson_interval(round(result.accuracy * 200), 200)}
    assert all(row.intervals == {} for row in result.per_class)


def test_a_seed_brings_all_intervals_and_changes_nothing_else():
    labels, probabilities = random_case(2)
    plain, result = evaluate(labels, probabilities, CLASSES), evaluate(labels, probabilities, CLASSES, seed=3)
    losses = -np.log(probabilities[np.arange(200), labels])
    drawn = bootstrap_intervals(labels, probabilities, losses, seed=3)
    assert result.intervals == plain.intervals | {
        "balanced_accuracy": drawn.balanced_accuracy,
        "f1": drawn.f1,
        "auc": drawn.auc,
        "loss": pytest.approx(drawn.loss),
    }
    for index, row in enumerate(result.per_class):
        assert row.intervals == {
            "precision": wilson_interval(row.tp, row.tp + row.fp),
            "recall": wilson_interval(row.tp, row.support),
            "specificity": wilson_interval(row.tn, row.tn + row.fp),
            "f1": drawn.class_f1[index],
            "auc": drawn.class_auc[index],
        }
    bare = [dataclasses.replace(row, intervals={}) for row in result.per_class]
    assert dataclasses.replace(result, intervals=plain.intervals, per_class=tuple(bare)) == plain


def test_every_interval_holds_the_value_it_is_about():
    labels, probabilities = random_case(4)
    result = evaluate(labels, probabilities, CLASSES, seed=0)
    values = {
        "accuracy": result.accuracy,
        "balanced_accuracy": result.balanced_accuracy,
        "f1": result.averages.macro.f1,
        "auc": result.averages.macro.auc,
        "loss": result.loss,
    }
    assert values.keys() == result.intervals.keys()
    for name, value in values.items():
        assert result.intervals[name][0] < value < result.intervals[name][1]
    for row in result.per_class:
        for name, (low, high) in row.intervals.items():
            assert low < getattr(row, name) < high


def test_intervals_that_are_unknown_are_left_out_and_the_rest_survives_json():
    labels, probabilities = random_case(1, classes=3)
    labels[labels == 2] = 0
    result = evaluate(labels, probabilities, CLASSES[:3], seed=0)
    assert result.per_class[2].intervals.keys() == {"precision", "specificity"}
    assert storage.from_plain(Evaluation, json.loads(storage.json_text(result))) == result
    perfect = evaluate(np.arange(30) % 3, np.eye(3)[np.arange(30) % 3], CLASSES[:3], seed=0)
    assert "loss" not in perfect.intervals and perfect.intervals["f1"][0] < 1
    sure = np.eye(2)[np.array([0, 1, 0])]
    assert evaluate(np.array([0, 1, 1]), sure, CLASSES[:2], seed=0).intervals["loss"][1] <= -math.log(1e-7)
