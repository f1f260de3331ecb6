"""The temperature of a study: which images it is fitted on, which models said what of them, and what it does."""

from dataclasses import replace

import numpy as np
import pytest

from headstart.data.split import Round
from headstart.evaluation.calibration import calibrated, calibration_scores, fit_temperature
from headstart.recipe import Candidate, Head, Optimizer, Training
from headstart.study.calibration import calibration, unseen_logits
from headstart.training.heads import softmax


def candidate(rate=0.1, epochs=60, **more):
    return Candidate("made", train=Training(epochs, optimizer=Optimizer("adam", rate)), **more)


@pytest.fixture
def case(opened_case):
    return opened_case(300, [candidate()], folds=3)


def test_a_head_trained_too_long_loses_much_of_its_error(case):
    found = calibration(case)
    test = case.test_of(case.best)
    assert (found.candidate, found.fitted_on, found.images) == (case.best, "out_of_fold", 300)
    assert found.temperature > 1.5
    assert found.before == calibration_scores(test.labels, test.probabilities)
    assert found.after == calibration_scores(test.labels, softmax(test.logits / np.float64(found.temperature)))
    assert found.after.error < 0.6 * found.before.error
    assert found.after.loss < found.before.loss


def test_logits_are_of_models_that_had_not_seen_the_image(case):
    labels, logits = unseen_logits(case)
    np.testing.assert_array_equal(labels, case.parts.labels)
    judged = case.judged_of(case.best)
    for one, fit in zip(case.parts.rounds, judged.fits, strict=True):
        ratio = logits[one.validation] / fit.validation_logits
        np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-5)
        assert not set(one.validation) & set(one.train)


def test_logits_have_the_size_of_the_final_model(case):
    """A fold whose logits are seven times as large says the same."""
    judged = case.judged_of(case.best)
    large = replace(
        judged.fits[0],
        weights=tuple(7 * array for array in judged.fits[0].weights),
        validation_logits=7 * judged.fits[0].validation_logits,
    )
    other = replace(case, judged=[replace(judged, fits=(large, *judged.fits[1:]))])
    np.testing.assert_allclose(unseen_logits(other)[1], unseen_logits(case)[1], rtol=1e-4, atol=1e-4)
    assert calibration(other).temperature == pytest.approx(calibration(case).temperature, rel=1e-4)
    assert fit_temperature(other.out_of_fold(case.best).logits, case.parts.labels) > 1.2 * calibration(case).temperature


def test_networks_that_train_keep_their_logits(case, monkeypatch):
    learner = case.learner_of(case.best)
    monkeypatch.setattr(type(learner), "features", lambda self, rows: None)
    labels, logits = unseen_logits(case)
    np.testing.assert_array_equal(logits, case.out_of_fold(case.best).logits)
    assert calibration(case).temperature == fit_temperature(logits, labels)


def test_repeats_count_every_image_once(opened_case):
    case = opened_case(120, [candidate(epochs=20)], folds=3, repeats=2)
    labels, logits = unseen_logits(case)
    assert len(labels) == calibration(case).images == 120
    first, judged = case.parts.rounds[0], case.judged_of(case.best)
    ratio = logits[first.validation] / judged.fits[0].validation_logits
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-5)


@pytest.mark.parametrize("images", [99, 100])
def test_a_hold_out_is_called_validation_and_needs_a_hundred_images(opened_case, images):
    rounds = [Round(0, 0, np.arange(0, 200), np.arange(200, 200 + images))]
    case = opened_case(200 + images, [candidate()], rounds=rounds, kind="holdout")
    found = calibration(case)
    assert (found.fitted_on, found.images) == ("validation", images)
    assert (found.temperature == 1.0) == (images < 100)
    assert (found.before == found.after) == (images < 100)


def test_heads_of_sigmoids_and_logistic_regression_are_calibrated(opened_case):
    for head in (Head(output="sigmoid"), Head(output="logistic"), Head(layers=("dense 16",))):
        case = opened_case(240, [candidate(epochs=40, head=head)], folds=3)
        found, test = calibration(case), case.test_of(case.best)
        assert found.after.loss < found.before.loss + 1e-3
        np.testing.assert_allclose(calibrated(test.logits, 1.0), test.probabilities, atol=1e-6)
