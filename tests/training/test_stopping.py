import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from headstart.evaluation.choosing import ACCURACY, LOSS, Measure
from headstart.training.heads import softmax
from headstart.training.stopping import BestEpoch, worth
from headstart.training.tally import measure


def test_first_of_equals_is_the_best():
    best = BestEpoch(patience=0)
    kept = [best.see(epoch, value, finite=True) for epoch, value in enumerate([0.1, 0.5, 0.5, 0.4], start=1)]
    assert kept == [True, True, False, False]
    assert best.epoch == 2
    assert not best.stopped


def test_patience_counts_epochs_since_the_best():
    best, stopped = BestEpoch(patience=2), []
    for epoch, value in enumerate([-0.5, -0.6, -0.4, -0.4, -0.8], start=1):
        best.see(epoch, value, finite=True)
        stopped.append(best.stopped)
    assert stopped == [False, False, False, False, True]


def test_epochs_that_are_not_finite_are_passed_over():
    best = BestEpoch(patience=0)
    assert not best.see(1, 0.9, finite=False)
    assert not best.found
    assert best.see(2, 0.3, finite=True)
    assert not best.see(3, 0.8, finite=False)
    assert (best.epoch, best.found) == (2, True)


def test_without_images_that_tell_the_last_epoch_is_the_best_and_nothing_stops():
    best = BestEpoch(patience=1)
    for epoch in range(1, 5):
        assert best.see(epoch, None, finite=True)
    assert best.epoch == 4
    assert not best.stopped


def test_the_last_epoch_that_is_finite_is_kept_where_none_tells():
    best = BestEpoch(patience=0)
    assert [best.see(epoch, None, finite=epoch < 3) for epoch in range(1, 5)] == [True, True, False, False]
    assert best.epoch == 2


def test_what_an_epoch_is_worth():
    random = np.random.default_rng(0)
    labels, logits = random.integers(0, 3, 60), random.normal(size=(60, 3)).astype(np.float32)
    with_penalty = measure(logits, labels, penalty=0.25)
    said = softmax(logits.astype(np.float64))
    expected = {
        "macro_f1": f1_score(labels, said.argmax(axis=1), average="macro"),
        "auc": roc_auc_score(labels, said, multi_class="ovr"),
    }
    for name, value in expected.items():
        assert worth(Measure(name), with_penalty, labels, logits) == pytest.approx(value), name
    assert worth(ACCURACY, with_penalty, labels, logits) == np.mean(logits.argmax(axis=1) == labels)
    assert worth(LOSS, with_penalty, labels, logits) == pytest.approx(-measure(logits, labels).loss - 0.25)


def test_an_epoch_without_a_value_is_worth_nothing():
    """Of images of one class there is no AUC; a head that diverged has no numbers."""
    labels, logits = np.zeros(5, np.int64), np.zeros((5, 2), np.float32)
    assert worth(Measure("auc"), measure(logits, labels), labels, logits) == -math.inf
    mixed = np.array([0, 1, 0, 1, 0])
    assert worth(Measure("auc"), measure(logits, mixed), mixed, np.full((5, 2), np.nan, np.float32)) == 0.5
