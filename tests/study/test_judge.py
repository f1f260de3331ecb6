"""The values of the rounds and their intervals."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from headstart.data.split import Round
from headstart.evaluation.choosing import Measure
from headstart.evaluation.intervals import corrected_interval, wilson_interval
from headstart.recipe import Candidate, Head, Phase, Protocol, Training
from headstart.study.judge import Judged, chosen_values, cross_validation, final_epochs_of, scored, validation_share
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


LABELS = np.array([0, 1, 0, 1, 0, 1, 1, 1, 0, 0, 1, 1])


def turns_of(*parts, repeat=0):
    return [Round(repeat, fold, np.setdiff1d(np.arange(12), part), np.array(part)) for fold, part in enumerate(parts)]


def fits_of(turns, seed=0):
    """Return fits that say something of their validation images."""
    random = np.random.default_rng(seed)
    return [
        dataclasses.replace(fit(0.8), validation_logits=random.normal(size=(len(one.validation), 2)).astype(np.float32))
        for one in turns
    ]


def probability_of_second(one):
    return 1 / (1 + np.exp(one.validation_logits[:, 0].astype(float) - one.validation_logits[:, 1]))


def test_the_measure_that_chooses_has_its_values_of_every_round():
    turns = turns_of([0, 1, 2, 3], [4, 5, 6, 8], [7, 9, 10, 11])
    fits = fits_of(turns)
    said = [(LABELS[one.validation], probability_of_second(fit)) for one, fit in zip(turns, fits, strict=True)]
    expected = {
        "auc": [roc_auc_score(labels, second) for labels, second in said],
        "balanced_accuracy": [balanced_accuracy_score(labels, second > 0.5) for labels, second in said],
    }
    for name, values in expected.items():
        found = scored(fits, turns, Measure(name), LABELS).chosen
        assert found.folds == pytest.approx(values)
        assert found.mean == pytest.approx(np.mean(values))
    assert scored(fits, turns, Measure("loss"), LABELS).chosen is None
    assert scored(fits, turns, Measure("accuracy"), LABELS) == cross_validation(fits, turns)


def test_where_a_round_has_no_auc_there_is_one_of_every_repeat():
    """The second round validates images of one class."""
    turns = turns_of([0, 1, 2, 3, 4, 8, 9], [5, 6, 7, 10, 11]) + turns_of(
        [0, 2, 4, 8, 9], [1, 3, 5, 6, 7, 10, 11], repeat=1
    )
    fits = fits_of(turns)
    expected = []
    for repeat in (0, 1):
        pairs = [(one, fit) for one, fit in zip(turns, fits, strict=True) if one.repeat == repeat]
        labels = np.concatenate([LABELS[one.validation] for one, _ in pairs])
        expected.append(roc_auc_score(labels, np.concatenate([probability_of_second(fit) for _, fit in pairs])))
    assert chosen_values(fits, turns, Measure("auc"), LABELS).folds == pytest.approx(expected)
    [single] = chosen_values(fits[:2], turns[:2], Measure("auc"), LABELS).folds
    assert single == pytest.approx(expected[0])


def test_images_of_one_class_have_no_auc_at_all():
    turns = turns_of([0, 2], [4, 8])
    assert math.isnan(chosen_values(fits_of(turns), turns, Measure("auc"), LABELS).mean)


TWO_PHASES = Candidate("made", "tuned", train=Training(5, trainable="none", phases=(Phase(15, "all"),)))
SOLVED = Candidate("made", "solved", head=Head(output="logistic"), train=Training(20))


@pytest.mark.parametrize(
    ("candidate", "protocol", "epochs"),
    [
        (TWO_PHASES, Protocol(), 20),
        (TWO_PHASES, Protocol(final_epochs=7), 7),
        (TWO_PHASES, Protocol(score_epoch="best"), 4),
        (TWO_PHASES, Protocol(score_epoch="best", final_epochs=7), 7),
        (SOLVED, Protocol(), 1),
        (SOLVED, Protocol(final_epochs=7), 1),
        (SOLVED, Protocol(score_epoch="best", final_epochs=7), 1),
    ],
)
def test_final_trainings_are_as_long_as_the_procedure_or_as_the_best_epochs(candidate, protocol, epochs):
    judged = Judged(None, candidate, None, (), 0.0, None)
    result = SimpleNamespace(cv=SimpleNamespace(best_epochs=(2, 4, 5)))
    assert final_epochs_of(judged, result, protocol) == epochs
