"""Final trainings that go astray: they are seen, repeated from another seed, counted and said."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest

from headstart.errors import StudyError
from headstart.evaluation.results import FinalResult
from headstart.recipe import Candidate, Head, Protocol, Training
from headstart.study.conclude import Final, open_test, train_finals
from headstart.study.jobs import Trained
from headstart.study.judge import Judged
from headstart.training.heads import EpochMetrics, Fit, Scores

FOLDS = (0.02, 0.05, 0.04)
TRAINED = Candidate("made", "trained", train=Training(7))
OTHER = Candidate("made", "other", train=Training(3))
SOLVED = Candidate("made", "solved", head=Head(output="logistic"))


def fit(loss, *, weight=0.0):
    metrics = EpochMetrics(loss=loss, accuracy=1.0, precision=1.0, recall=1.0, top_k=None)
    scores = Scores(epoch=1, train=metrics, validation=None)
    return Fit("key", (), 1, (np.array([weight], np.float32),), None, scores, scores)


class Planted:
    """A learner whose final trainings end with the losses that were planted, one attempt after the other."""

    def __init__(self, **losses):
        self.losses, self.asked = {name: list(values) for name, values in losses.items()}, []

    def train(self, stage, jobs, store, progress):
        self.asked.append([job.key for job in jobs])
        self.jobs = jobs
        return [Trained((fit(self.losses[job.key.split("/")[0]].pop(0)),), 2.0) for job in jobs]

    def logits(self, candidate, fit, rows):
        return np.eye(2, dtype=np.float32)[rows % 2]


class Listener:
    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


def train(learner, *candidates, **protocol):
    """Return the finals, the failures and what was said."""
    judged = [Judged(None, one, learner, tuple(fit(loss) for loss in FOLDS), 0.0, None) for one in candidates]
    finalists = [SimpleNamespace(id=one.id, cv=SimpleNamespace(best_epochs=(2, 3, 3))) for one in candidates]
    place = SimpleNamespace(jobs=None, progress=Listener())
    parts = SimpleNamespace(train=np.arange(10))
    finals, failures = train_finals(finalists, judged, parts, Protocol(**protocol), place)
    return finals, failures, place.progress.said


def test_a_training_like_those_of_the_folds_is_kept():
    learner = Planted(trained=[0.25])
    [final], failures, said = train(learner, TRAINED)
    assert (final.attempts, final.epochs, final.seconds, failures, said) == (1, 7, 2.0, {}, [])
    assert final.loss_ratio == pytest.approx(0.25 / 0.05)
    assert learner.asked == [["trained/final"]]


def test_a_planted_spike_is_caught_repeated_and_said():
    learner = Planted(trained=[1.05, 0.04])
    [final], _, said = train(learner, TRAINED)
    assert final.fit.best.train.loss == 0.04
    assert (final.attempts, final.seconds, final.loss_ratio) == (2, 4.0, pytest.approx(0.8))
    assert learner.asked == [["trained/final"], ["trained/final/1"]]
    assert said == [
        "The final training of trained went astray: its training loss is 21 times the worst fold's; it is repeated "
        "from another seed."
    ]


def test_after_three_trainings_the_one_with_the_lowest_loss_is_kept():
    learner = Planted(trained=[1.0, 0.5, 2.0])
    [final], _, said = train(learner, TRAINED)
    assert (final.fit.best.train.loss, final.attempts, final.seconds) == (0.5, 3, 6.0)
    assert learner.asked == [["trained/final"], ["trained/final/1"], ["trained/final/2"]]
    assert said[-1].endswith("; the best of three trainings is kept.")


def test_a_repeat_that_fails_leaves_the_training_before_and_the_others_alone():
    class Failing(Planted):
        def train(self, stage, jobs, store, progress):
            if self.asked:
                raise RuntimeError("no memory")
            return super().train(stage, jobs, store, progress)

    second = dataclasses.replace(TRAINED, name="second")
    finals, failures, said = train(Failing(trained=[1.05], second=[0.04]), TRAINED, second, finals=2)
    assert {one.id: (one.attempts, one.fit.best.train.loss) for one in finals} == {
        "trained": (1, 1.05),
        "second": (1, 0.04),
    }
    assert failures == {}
    assert said[-1] == "A final training could not be repeated, and the one before is kept: RuntimeError: no memory"


def test_a_loss_that_is_no_number_is_astray_too():
    [final], _, said = train(Planted(trained=[math.nan, math.inf, 0.1]), TRAINED)
    assert (final.fit.best.train.loss, final.attempts) == (0.1, 3)
    assert [text.split("its training loss is ")[1].split(";")[0] for text in said] == ["not a number"] * 2


def test_only_who_went_astray_is_trained_again():
    learner = Planted(trained=[1.0, 0.04], other=[0.03])
    finals, _, said = train(learner, OTHER, TRAINED)
    assert [(one.id, one.attempts, one.epochs) for one in finals] == [("other", 1, 3), ("trained", 2, 7)]
    assert learner.asked == [["other/final", "trained/final"], ["trained/final/1"]]
    assert len(said) == 1


def test_a_loss_next_to_nothing_is_no_spike():
    learner = Planted(trained=[0.009])
    judged = Judged(None, TRAINED, learner, (fit(1e-4),), 0.0, None)
    final = Final(judged, 7, fit(0.009), 1.0)
    assert final.loss_ratio == pytest.approx(90) and not final.failed
    assert dataclasses.replace(final, fit=fit(0.011)).failed


def test_a_head_that_is_solved_is_exempt():
    learner = Planted(solved=[3.0])
    [final], _, said = train(learner, SOLVED)
    assert (final.attempts, final.epochs, final.loss_ratio, said) == (1, 1, None, [])
    assert not final.failed


@pytest.mark.parametrize(("protocol", "epochs"), [({}, 7), ({"score_epoch": "best"}, 3), ({"final_epochs": 5}, 5)])
def test_a_repeated_training_is_as_long_as_the_first(protocol, epochs):
    learner = Planted(trained=[1.0, 0.04])
    [final], _, _ = train(learner, TRAINED, **protocol)
    assert final.epochs == epochs == learner.jobs[0].epochs


def test_finalists_that_cannot_be_trained_are_named_and_all_of_them_is_an_error():
    finals, failures, _ = train(Planted(trained=[0.04], other=[]), TRAINED)
    assert [one.id for one in finals] == ["trained"] and failures == {}
    with pytest.raises(StudyError, match="Every finalist failed"):
        train(Planted(other=[]), OTHER)


def test_attempts_and_ratio_stand_in_the_result():
    [final], _, _ = train(Planted(trained=[1.0, 0.04]), TRAINED)
    parts = SimpleNamespace(
        train=np.arange(6),
        validation=np.arange(0),
        test=np.arange(6, 10),
        labels=np.arange(10) % 2,
        paths=lambda rows: tuple(f"{row}.png" for row in rows),
    )
    folder = SimpleNamespace(log=lambda *_, **__: None)
    place = SimpleNamespace(jobs=SimpleNamespace(count_opening=lambda names: 1), folder=folder)
    [result] = open_test([final], parts, ("a", "b"), place).results
    assert isinstance(result, FinalResult)
    assert (result.attempts, result.loss_ratio, result.test.accuracy) == (2, pytest.approx(0.8), 1.0)
