"""Nested cross-validation: nobody who is judged had a say, and what was done is not done again."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from headstart.errors import UsageError
from headstart.recipe import Candidate, Head, Optimizer, Protocol, Training
from headstart.study.asked import check_nested
from headstart.study.judge import cross_validation
from headstart.study.nested import inner_rounds, nested

RATES = (0.3, 0.1, 0.03, 0.01)


def candidates(epochs=12, rates=RATES):
    return [
        Candidate("made", f"rate {rate}", train=Training(epochs, optimizer=Optimizer("sgd", rate))) for rate in rates
    ]


def clusters(images, *, apart, classes=3, inputs=8, seed=0):
    random = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    return apart * random.standard_normal((classes, inputs))[labels] + random.standard_normal((images, inputs)), labels


def watched(case, monkeypatch):
    """Return a list that gains every job that a learner is asked for, with its stage."""
    asked, learner = [], case.judged[0].learner
    train = learner.train

    def listen(stage, jobs, *rest):
        asked.extend((stage, job) for job in jobs)
        return train(stage, jobs, *rest)

    monkeypatch.setattr(learner, "train", listen)
    return asked


@pytest.fixture
def case(made_case):
    features, labels = clusters(90, apart=0.4)
    return made_case(features, labels, candidates(), folds=3, nested=True)


def test_no_image_of_an_outer_fold_has_a_say(case, monkeypatch):
    asked = watched(case, monkeypatch)
    result = nested(case)
    assert len(asked) == 3 * (2 * 4 + 1)
    for outer, chosen in zip(case.parts.rounds, result.chosen, strict=True):
        jobs = [job for stage, job in asked if stage == f"nested {outer.fold}"]
        for job in jobs:
            said = job.train if job.validation is None else np.concatenate([job.train, job.validation])
            assert not np.isin(outer.validation, said).any()
            assert np.array_equal(np.sort(said), outer.train)
        assert [job.key for job in jobs if job.validation is None] == [f"{chosen}/final"]


def test_inner_folds_validate_in_turn(case):
    folds = case.parts.rounds
    rounds = inner_rounds(folds, folds[1])
    assert [one.fold for one in rounds] == [0, 2]
    assert np.array_equal(np.sort(np.concatenate([one.validation for one in rounds])), folds[1].train)
    assert not any(np.isin(one.validation, one.train).any() for one in rounds)


def test_the_choice_and_its_accuracy_are_those_of_a_plain_loop(case):
    """The same by hand: the best mean over the inner folds, trained by the same procedure on all of them."""
    from headstart.study.judge import final_job, round_jobs

    result, learner = nested(case), case.judged[0].learner
    place, ours = case.place, [one.candidate for one in case.judged]
    for outer, chosen, accuracy in zip(case.parts.rounds, result.chosen, result.accuracy.folds, strict=True):
        rounds = inner_rounds(case.parts.rounds, outer)
        fits = [
            one.fits[0]
            for one in learner.train("by hand", round_jobs(ours, rounds, case.protocol), place.jobs, place.progress)
        ]
        values = [cross_validation(fits[at :: len(ours)]) for at in range(len(ours))]
        best = min(range(len(ours)), key=lambda at: (-values[at].accuracy.mean, values[at].loss.mean))
        assert ours[best].id == chosen
        job = final_job(ours[best], outer.train, 12, case.protocol)
        [trained] = learner.train(f"by hand {outer.fold}", [job], place.jobs, place.progress)
        logits = learner.logits(ours[best], trained.fits[0], outer.validation)
        assert accuracy == np.mean(logits.argmax(axis=1) == case.parts.labels[outer.validation])
    assert result.accuracy.mean == pytest.approx(np.mean(result.accuracy.folds))
    assert result.accuracy.ci95[0] <= result.accuracy.mean <= result.accuracy.ci95[1]


def test_labels_of_chance_give_chance_while_the_best_looks_better(made_case):
    """Scored at their best epochs, folds flatter most; nested, the same choice has nothing to show."""
    shown, true = [], []
    for seed in range(8):
        features, labels = clusters(90, apart=0.0, seed=seed)
        case = made_case(features, labels, candidates(epochs=30), folds=3, nested=True, score_epoch="best")
        shown.append(case.ranked[0].cv.accuracy.mean)
        true.append(nested(case).accuracy.mean)
    assert np.mean(shown) > 0.39
    assert abs(np.mean(true) - 1 / 3) < 3 * np.sqrt(2 / 9 / (8 * 90))


def test_what_was_finished_is_found_again(case, monkeypatch):
    first = nested(case)
    monkeypatch.setattr("headstart.study.learners.train_bank", lambda *_, **__: pytest.fail("trained again"))
    assert nested(case) == first


def test_a_candidate_that_fails_is_not_chosen_and_stops_nobody(case, monkeypatch):
    whole, learner = nested(case), case.judged[0].learner
    train, broken = learner.train, whole.chosen[0]

    def fail(stage, jobs, *rest):
        if any(job.key.startswith(broken) for job in jobs):
            raise ValueError("no memory")
        return train(stage, jobs, *rest)

    monkeypatch.setattr(learner, "train", fail)
    result = nested(case)
    assert broken not in result.chosen and len(result.chosen) == 3
    monkeypatch.setattr(learner, "train", lambda *_: 1 / 0)
    assert nested(case) is None
    assert case.place.progress.said[-1].startswith("The nested cross-validation was given up")


def test_the_next_best_stands_in_where_only_the_last_training_fails(case, monkeypatch):
    whole, learner = nested(case), case.judged[0].learner
    train, broken = learner.train, whole.chosen[0]

    def fail(stage, jobs, *rest):
        if any(job.key == f"{broken}/final" for job in jobs):
            raise ValueError("no memory")
        return train(stage, jobs, *rest)

    monkeypatch.setattr(learner, "train", fail)
    assert broken not in nested(case).chosen


def test_solved_heads_repeats_and_the_loss_as_measure(made_case):
    features, labels = clusters(45, apart=0.5, inputs=4)
    solved = Candidate("made", "solved", head=Head(output="logistic"))
    case = made_case(
        features, labels, [solved, *candidates(4, (0.1,))], folds=3, repeats=2, nested=True, choose_by="loss"
    )
    result = nested(case)
    assert len(result.accuracy.folds) == 3
    assert set(result.chosen) <= {"solved", "rate 0.1"}
    assert case.place.progress.said == ["Nested cross-validation: 15 more trainings."]


def test_it_is_done_only_when_asked_for(case):
    case.plan.recipe.protocol = dataclasses.replace(case.protocol, nested=False)
    assert nested(case) is None


def test_hold_outs_and_two_folds_are_refused_before_the_work():
    check_nested(Protocol(nested=True, folds=3), SimpleNamespace(kind="folds", folds=3))
    check_nested(Protocol(nested=False, folds=2), SimpleNamespace(kind="holdout"))
    with pytest.raises(UsageError, match=r"at least 3 folds.*Received: 2 folds\. Use --folds 3 or more"):
        check_nested(Protocol(nested=True, folds=2), SimpleNamespace(kind="folds", folds=2))
    with pytest.raises(UsageError, match=r"Received: 2 folds\. Add images, or leave"):
        check_nested(Protocol(nested=True, folds=5), SimpleNamespace(kind="folds", folds=2))
    with pytest.raises(UsageError, match="Received: a hold-out"):
        check_nested(Protocol(nested=True), SimpleNamespace(kind="holdout"))
