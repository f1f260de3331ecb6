"""The values of the rounds and their intervals."""

import math

import numpy as np
import pytest

from headstart.data.split import Round
from headstart.evaluation.intervals import corrected_interval, wilson_interval
from headstart.study.judge import cross_validation, validation_share
from headstart.training.heads import EpochMetrics, Fit, Scores


def fit(accuracy, loss=0.5):
    metrics = EpochMetrics(loss=loss, accuracy=accuracy, precision=1.0, recall=accuracy, top_k=None)
    scores = Scores(epoch=3, train=metrics, validation=metrics)
    return Fit("key", (), 3, (), None, scores, scores)


def rounds(*sizes, repeat=0):
    return [
        Round(repeat, fold, np.arange(train), np.arange(train, train + validation))
        for fold, (train, validation) in enumerate(sizes)
    ]


def test_folds_carry_the_interval_of_the_procedure():
    values, losses = [0.9, 0.94, 0.98], [0.3, 0.2, 0.1]
    turns = rounds((67, 33), (67, 33), (66, 34))
    found = cross_validation([fit(*pair) for pair in zip(values, losses, strict=True)], turns)
    share = (33 / 67 + 33 / 67 + 34 / 66) / 3
    assert validation_share(turns) == pytest.approx(share)
    low, high = corrected_interval(values, share)
    assert high > 1 and found.accuracy.ci95 == (low, 1.0)
    low, high = corrected_interval(losses, share)
    assert low < 0 and found.loss.ci95 == (0.0, high)


def test_a_single_round_carries_wilsons_interval_of_its_accuracy_alone():
    found = cross_validation([fit(0.9)], rounds((160, 40)))
    assert found.accuracy.ci95 == wilson_interval(36, 40)
    assert found.loss.ci95 is None and found.train_accuracy.ci95 is None


def test_rounds_that_agree_carry_wilsons_interval_over_one_repeat():
    turns = rounds((40, 10), (40, 10)) + rounds((40, 10), (40, 10), repeat=1)
    found = cross_validation([fit(1.0)] * 4, turns)
    assert found.accuracy.ci95 == wilson_interval(20, 20)
    assert found.loss.ci95 is None


def test_what_diverged_or_is_unknown_has_no_interval():
    found = cross_validation([fit(0.8), fit(0.9, math.nan)], rounds((30, 10), (30, 10)))
    assert found.loss.ci95 is None and found.accuracy.ci95 is not None
    assert cross_validation([fit(0.8), fit(0.9)]).accuracy.ci95 is None
