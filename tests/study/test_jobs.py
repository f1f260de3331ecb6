"""Finished units: what is read back is what was computed, a diverged training included."""

import math

import numpy as np
import pytest

from headstart.study.jobs import Jobs
from headstart.training.heads import EpochMetrics, EpochRow, Fit, Scores


def diverged_fit() -> Fit:
    good = EpochMetrics(0.5, 0.75, 0.5, 0.25, None)
    lost = EpochMetrics(math.nan, 0.25, 0.0, 0.0, None)
    history = (EpochRow(1, 1, 1e-3, good, good), EpochRow(1, 2, 1e-3, lost, lost))
    weights = tuple(np.arange(size, dtype=np.float32) for size in (6, 2))
    backbone = tuple(np.full(3, number, np.float32) for number in range(12))
    logits = np.ones((4, 2), np.float32)
    return Fit("key", history, 1, weights, logits, Scores(1, good, good), Scores(2, lost, lost), backbone)


def fail() -> list[Fit]:
    raise AssertionError("computed although it was finished")


def test_a_unit_is_read_back_as_it_was(tmp_path):
    fit = diverged_fit()
    jobs = Jobs(tmp_path, "study")
    jobs.trained(("stage", 1), lambda: [fit])
    assert jobs.finished(("stage", 1))
    [read] = Jobs(tmp_path, "study").trained(("stage", 1), fail).fits
    assert (read.key, read.best_epoch, read.best, read.history[0]) == (fit.key, 1, fit.best, fit.history[0])
    assert math.isnan(read.last.train.loss)
    assert math.isnan(read.history[1].validation.loss)
    assert read.history[1].train.accuracy == 0.25
    for here, there in zip(read.weights + read.backbone_weights, fit.weights + fit.backbone_weights, strict=True):
        np.testing.assert_array_equal(here, there)
    np.testing.assert_array_equal(read.validation_logits, fit.validation_logits)


@pytest.mark.parametrize(("study", "unit"), [("other", ("stage", 1)), ("study", ("stage", 2))])
def test_another_study_or_unit_is_computed(tmp_path, study, unit):
    Jobs(tmp_path, "study").trained(("stage", 1), lambda: [diverged_fit()])
    assert not Jobs(tmp_path, study).finished(unit)


def test_the_same_finalists_open_the_test_set_once(tmp_path):
    jobs = Jobs(tmp_path, "study")
    assert [jobs.count_opening(["a", "b"]), jobs.count_opening(["a", "b"]), jobs.count_opening(["a"])] == [1, 1, 2]
