import dataclasses
import math

import numpy as np
import pytest

from headstart.evaluation.metrics import evaluate, fold_values
from headstart.evaluation.published import compare_published
from headstart.evaluation.results import CandidateResult, CrossValidation, FinalResult, ParameterCounts
from headstart.recipe import PublishedValue

CLASSES = ("Berry", "bird", "dog: small")
CV = CrossValidation(
    accuracy=fold_values([0.9, 0.8], [0.9, 0.7]),
    loss=fold_values([0.3, 0.5], [0.3, 0.6]),
    train_accuracy=fold_values([0.95, 0.97], [1.0, 1.0]),
    train_loss=fold_values([0.2, 0.1], [0.1, 0.1]),
    best_epochs=(3, 4),
)


def evaluation(seed):
    random = np.random.default_rng(seed)
    labels = np.repeat([0, 1, 2], 10)
    return evaluate(labels, random.dirichlet([1, 1, 1], 30) * 0.5 + 0.5 * np.eye(3)[labels] ** 2, CLASSES)


TRAIN, VALIDATION, TEST = (evaluation(seed) for seed in range(3))


def result(name, cv=CV):
    parameters = ParameterCounts(10, 20, 30, (10,)) if cv else None
    return CandidateResult(name, "mobilenet", "h", "c", {}, "done" if cv else "failed", None, parameters, 1, cv)


CANDIDATES = (result("folds"), result("validated"), result("unfinished"), result("failed", None))
FINALS = (FinalResult("folds", 3, TRAIN, None, TEST), FinalResult("validated", 3, TRAIN, VALIDATION, TEST))


def here(candidate, part, metric, *others):
    values = [PublishedValue(candidate, part, metric, 0.5), *others]
    found = compare_published(values, CANDIDATES, FINALS, CLASSES)
    assert [(one.candidate, one.part, one.metric) for one in found] == [(v.candidate, v.part, v.metric) for v in values]
    return found[0].here


@pytest.mark.parametrize("name", ["accuracy", "loss", "balanced_accuracy", "precision_at_half", "recall_at_half"])
@pytest.mark.parametrize(("part", "expected"), [("train", TRAIN), ("validation", VALIDATION), ("test", TEST)])
def test_values_of_all_images_are_those_of_the_final_training(name, part, expected):
    assert here("validated", part, name) == getattr(expected, name)


@pytest.mark.parametrize("name", ["precision", "recall", "specificity", "f1", "auc", "average_precision"])
def test_a_ratio_without_a_class_is_the_mean_of_the_classes(name):
    rows = [getattr(row, name) for row in TEST.per_class]
    assert here("folds", "test", name) == pytest.approx(np.mean(rows))


@pytest.mark.parametrize("name", ["tp", "tn", "fp", "fn", "support", "precision", "recall", "specificity", "accuracy"])
@pytest.mark.parametrize(("written", "place"), [("berry", 0), ("BIRD", 1), ("Dog: small", 2)])
def test_a_class_is_found_whatever_its_case(name, written, place):
    assert here("folds", "test", f"{name}:{written}") == getattr(TEST.per_class[place], name)
    assert here("folds", "test", f"{name}:horse") is None


def test_cells_of_the_confusion_matrix():
    for true, row in zip(CLASSES, TEST.confusion_matrix, strict=True):
        for predicted, count in zip(CLASSES, row, strict=True):
            assert here("folds", "test", f"confusion_matrix:{true.upper()}:{predicted}") == count
    assert here("folds", "test", "confusion_matrix:berry:horse") is None


def test_classes_that_differ_by_case_are_told_apart():
    found = evaluate(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]), ["a", "A"])
    values = [PublishedValue("folds", "test", f"support:{name}", 0) for name in "aA"]
    rows = compare_published(values, CANDIDATES, [FinalResult("folds", 1, found, None, found)], ("a", "A"))
    assert [row.here for row in rows] == [1, 2]


def test_top_k():
    assert here("folds", "test", "top_2") == TEST.top_k["2"]
    assert here("folds", "test", "top_1") == TEST.accuracy
    assert here("folds", "test", "top_5") == 1.0


def test_means_and_folds_of_the_cross_validation():
    assert here("folds", "validation", "accuracy") == CV.accuracy.mean
    assert here("folds", "validation", "loss") == CV.loss.mean
    assert here("folds", "validation", "loss:fold 2") == 0.5
    assert here("folds", "train", "accuracy:fold 1") == 0.95
    assert here("folds", "validation", "accuracy:fold 3") is None
    assert here("folds", "test", "accuracy:fold 1") is None
    assert here("unfinished", "validation", "accuracy") == CV.accuracy.mean
    assert here("unfinished", "train", "loss") == CV.train_loss.mean


def test_a_training_value_is_that_of_the_trainings_beside_whose_validation_it_was_published():
    beside = PublishedValue("folds", "validation", "accuracy", 0.9)
    assert here("folds", "train", "accuracy") == TRAIN.accuracy
    assert here("folds", "train", "accuracy", beside) == CV.train_accuracy.mean
    assert here("folds", "train", "loss", beside) == TRAIN.loss
    assert here("validated", "train", "accuracy", dataclasses.replace(beside, candidate="validated")) == TRAIN.accuracy


@dataclasses.dataclass(frozen=True)
class Row:
    candidate: str
    fold: int | None
    epoch: int
    loss: float
    val_loss: float | None
    precision: float = 0.5


EPOCHS = (
    Row("folds", 0, 1, 1.0, 2.0),
    Row("folds", 1, 1, 3.0, 5.0),
    Row("folds", None, 1, 9.0, None),
    Row("folds", 0, 2, 0.5, 0.75),
    Row("unfinished", 0, 1, 7.0, 7.0),
    Row("validated", None, 1, 4.0, None),
)


@pytest.mark.parametrize(
    ("candidate", "part", "metric", "expected"),
    [
        ("folds", "train", "loss:epoch 1", 2.0),
        ("folds", "validation", "loss:epoch 1", 3.5),
        ("folds", "validation", "loss:epoch 2", 0.75),
        ("folds", "train", "precision_at_half:epoch 2", 0.5),
        ("validated", "train", "loss:epoch 1", 4.0),
        ("validated", "validation", "loss:epoch 1", None),
        ("folds", "train", "loss:epoch 3", None),
        ("folds", "test", "loss:epoch 1", None),
        ("folds", "train", "seconds_per_step:epoch 1", None),
    ],
)
def test_an_epoch_is_the_mean_over_the_folds_that_trained_so_long(candidate, part, metric, expected):
    values = [PublishedValue(candidate, part, metric, 1.0)]
    assert compare_published(values, CANDIDATES, FINALS, CLASSES, epochs=EPOCHS)[0].here == expected


@pytest.mark.parametrize(("name", "count"), [("parameters", 30), ("trainable_parameters", 10)])
def test_parameters_belong_to_any_part(name, count):
    assert here("unfinished", "train", name) == count
    assert here("failed", "train", name) is None


def test_what_was_not_measured_is_none():
    for candidate, part, metric in (
        ("unfinished", "test", "accuracy"),
        ("unfinished", "validation", "precision:bird"),
        ("failed", "validation", "accuracy"),
        ("failed", "test", "accuracy"),
        ("nobody", "test", "accuracy"),
        ("folds", "test", "happiness"),
        ("folds", "test", "balanced_accuracy:bird"),
        ("folds", "elsewhere", "accuracy"),
    ):
        assert here(candidate, part, metric) is None


def test_the_difference_is_here_minus_published():
    (found,) = compare_published([PublishedValue("folds", "test", "accuracy", 0.25)], CANDIDATES, FINALS, CLASSES)
    assert found.published == 0.25 and found.difference == found.here - 0.25
    (missing,) = compare_published([PublishedValue("failed", "test", "accuracy", 0.25)], CANDIDATES, FINALS, CLASSES)
    assert missing.here is None and missing.difference is None


def test_a_loss_that_is_no_number_was_not_measured():
    diverged = dataclasses.replace(CV, loss=fold_values([math.nan, 1.0], [math.nan, 1.0]))
    values = [PublishedValue("folds", "validation", "loss", 0.5)]
    assert compare_published(values, [result("folds", diverged)], FINALS, CLASSES)[0].here is None
