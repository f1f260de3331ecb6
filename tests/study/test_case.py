"""What a candidate said out of fold, checked on made-up rounds."""

from types import SimpleNamespace

import numpy as np
import pytest

from headstart.data.split import Round
from headstart.study.case import out_of_fold, ranked_finalists
from headstart.training.heads import softmax

LABELS = np.array([0, 1, 1, 0, 1, 0])


def round_of(repeat, fold, validation):
    validation = np.array(validation)
    return Round(repeat, fold, np.setdiff1d(np.arange(len(LABELS)), validation), validation)


def case_of(rounds, logits):
    judged = SimpleNamespace(fits=[SimpleNamespace(validation_logits=one) for one in logits])
    return judged, SimpleNamespace(rounds=tuple(rounds), labels=LABELS)


def test_folds_are_put_back_into_the_order_of_the_images():
    rounds = [round_of(0, 0, [4, 1, 0]), round_of(0, 1, [5, 3, 2])]
    logits = [np.float32([[4, -4], [1, -1], [0, 9]]), np.float32([[5, 1], [3, 1], [2, 1]])]
    found = out_of_fold(*case_of(rounds, logits))
    assert found.rows.tolist() == [0, 1, 2, 3, 4, 5]
    assert found.logits.tolist() == [[0, 9], [1, -1], [2, 1], [3, 1], [4, -4], [5, 1]]
    assert found.folds.tolist() == [0, 0, 1, 1, 0, 1]
    assert found.labels.tolist() == LABELS.tolist()


def test_repeats_become_the_mean_of_their_probabilities():
    rounds = [round_of(0, 0, [0, 1]), round_of(0, 1, [2, 3]), round_of(1, 0, [3, 0]), round_of(1, 1, [1, 2])]
    logits = np.random.default_rng(0).normal(size=(4, 2, 3)).astype(np.float32)
    found = out_of_fold(*case_of(rounds, logits))
    assert found.rows.tolist() == [0, 1, 2, 3]
    assert found.folds.tolist() == [0, 0, 1, 1]
    for row, places in ((0, [(0, 0), (2, 1)]), (3, [(1, 1), (2, 0)])):
        mean = np.mean([softmax(logits[place][None].astype(np.float64))[0] for place in places], axis=0)
        assert found.probabilities[row] == pytest.approx(mean, abs=1e-12)


def test_images_that_never_validate_are_not_there():
    found = out_of_fold(*case_of([round_of(0, 0, [2, 5])], [np.float32([[1, 0], [0, 1]])]))
    assert found.rows.tolist() == [2, 5] and found.folds.tolist() == [0, 0]


def test_the_best_comes_from_validation_and_was_tested():
    def result(name, accuracy):
        values = SimpleNamespace(accuracy=SimpleNamespace(mean=accuracy), loss=SimpleNamespace(mean=1 - accuracy))
        return SimpleNamespace(id=name, cv=values)

    results = [result("middle", 0.8), result("untested", 0.9), result("low", 0.7)]
    finals = [SimpleNamespace(id="low"), SimpleNamespace(id="middle")]
    assert [one.id for one in ranked_finalists(results, finals, "accuracy")] == ["middle", "low"]
