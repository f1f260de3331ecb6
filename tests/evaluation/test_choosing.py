"""What chooses, against scikit-learn, and the order in which it puts candidates."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss, roc_auc_score

from headstart.evaluation.choosing import ACCURACY, LOSS, Measure
from headstart.evaluation.metrics import fold_values
from headstart.evaluation.ranking import best_first
from headstart.evaluation.results import CrossValidation
from headstart.recipe.check import MEASURES

COSTS = ((0.0, 1.0, 5.0), (1.0, 0.0, 1.0), (2.0, 1.0, 0.0))
BY_SCIKIT_LEARN = {
    "accuracy": lambda labels, said: accuracy_score(labels, said.argmax(axis=1)),
    "balanced_accuracy": lambda labels, said: balanced_accuracy_score(labels, said.argmax(axis=1)),
    "macro_f1": lambda labels, said: f1_score(labels, said.argmax(axis=1), average="macro"),
    "auc": lambda labels, said: roc_auc_score(labels, said, multi_class="ovr", average="macro"),
    "loss": log_loss,
    "cost": lambda labels, said: np.mean([COSTS[true][cheapest(row)] for true, row in zip(labels, said, strict=True)]),
}


def cheapest(row):
    """Return the answer that costs least on average where the probabilities are true."""
    return min(range(3), key=lambda answer: sum(row[true] * COSTS[true][answer] for true in range(3)))


@pytest.fixture
def uneven():
    """Labels of 60, 25 and 5 images, and probabilities that are somewhat better than chance."""
    random = np.random.default_rng(4)
    labels = random.permutation(np.repeat(np.arange(3), [60, 25, 5]))
    powers = np.exp(random.normal(size=(90, 3)) + 0.8 * np.eye(3)[labels])
    return labels, powers / powers.sum(axis=1, keepdims=True)


def measure(name):
    return Measure(name, COSTS if name == "cost" else ())


def test_every_measure_of_a_recipe_is_known():
    assert set(BY_SCIKIT_LEARN) == set(MEASURES)


@pytest.mark.parametrize("name", MEASURES)
def test_measures_are_those_of_scikit_learn(uneven, name):
    assert measure(name).of(*uneven) == pytest.approx(BY_SCIKIT_LEARN[name](*uneven), rel=1e-12)


@pytest.mark.parametrize("name", ["balanced_accuracy", "macro_f1", "auc"])
def test_classes_without_images_do_not_count(uneven, name):
    labels, said = uneven
    there = labels < 2
    found = measure(name).of(labels[there], said[there])
    if name == "auc":
        areas = [roc_auc_score(labels[there] == index, said[there, index]) for index in (0, 1)]
        assert found == pytest.approx(np.mean(areas))
    elif name == "macro_f1":
        # a class that is answered, though no image is of it, counts as in scikit-learn
        assert found == pytest.approx(f1_score(labels[there], said[there].argmax(axis=1), average="macro"))
    else:
        recalls = [np.mean(said[there][labels[there] == index].argmax(axis=1) == index) for index in (0, 1)]
        assert found == pytest.approx(np.mean(recalls))


def test_images_of_one_class_have_no_auc_but_all_else():
    labels, said = np.zeros(4, np.int64), np.tile([0.6, 0.3, 0.1], (4, 1))
    assert Measure("auc").of(labels, said) is None
    assert [measure(name).of(labels, said) for name in ("accuracy", "balanced_accuracy", "macro_f1")] == [1, 1, 1]


@pytest.mark.parametrize("name", MEASURES)
def test_more_is_better_of_what_a_value_is_worth(uneven, name):
    labels, said = uneven
    better = 0.5 * said + 0.5 * np.eye(3)[labels]
    one = measure(name)
    assert one.worth(one.of(labels, better)) > one.worth(one.of(labels, said))


def result(name, *, accuracy, loss, chosen=None):
    values = [fold_values([one], [one]) for one in (accuracy, loss, accuracy, loss)]
    cv = CrossValidation(*values, best_epochs=(1,), chosen=None if chosen is None else fold_values([chosen], [chosen]))
    return SimpleNamespace(id=name, cv=cv)


ACCURATE = result("accurate", accuracy=0.9, loss=0.5, chosen=0.2)
SURE = result("sure", accuracy=0.8, loss=0.3, chosen=0.3)
LAST = result("last", accuracy=0.8, loss=0.4, chosen=0.1)


def order(choose_by, *candidates):
    return [one.id for one in best_first(candidates, choose_by)]


@pytest.mark.parametrize("name", MEASURES)
def test_candidates_stand_in_the_order_of_the_measure(name):
    expected = {
        "accuracy": ["accurate", "sure", "last"],
        "loss": ["sure", "last", "accurate"],
        "cost": ["last", "accurate", "sure"],
    }.get(name, ["sure", "accurate", "last"])
    assert order(name, LAST, ACCURATE, SURE) == order(name, SURE, LAST, ACCURATE) == expected


def test_equal_ones_stand_in_the_order_of_accuracy_then_loss():
    same = [result(name, accuracy=accuracy, loss=loss, chosen=0.5) for name, accuracy, loss in (
        ("third", 0.8, 0.5), ("second", 0.8, 0.4), ("first", 0.9, 0.6))]  # fmt: skip
    assert order("macro_f1", *same) == ["first", "second", "third"]
    equal = [result("b", accuracy=0.8, loss=0.4), result("a", accuracy=0.9, loss=0.4)]
    assert order("loss", *equal) == ["a", "b"]


def test_what_has_no_number_stands_behind_what_has_one_and_failures_are_left_out():
    nothing = result("nothing", accuracy=0.99, loss=math.nan, chosen=math.nan)
    failed = SimpleNamespace(id="failed", cv=None)
    for name in ("auc", "cost", "loss"):
        assert order(name, nothing, failed, LAST) == ["last", "nothing"]


def test_measures_are_values():
    assert (Measure("accuracy"), Measure("loss")) == (ACCURACY, LOSS)
    assert hash(measure("cost")) == hash(dataclasses.replace(measure("cost")))
