"""How a study finds out to say "unknown": made features, real heads."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from headstart.classifier.predict import Outputs
from headstart.data.split import Round
from headstart.evaluation.unknown import ENERGY, METHODS, TOGETHER, energy
from headstart.recipe import Candidate, Head, Optimizer, Training
from headstart.runs.folder import PredictionBlock
from headstart.study import unknown
from headstart.study.conclude import Final, Opened
from headstart.study.judge import final_job
from headstart.study.learners import HeadLearner
from headstart.study.parts import Parts
from headstart.study.unknown import find_unknown, judge_folder
from headstart.training.heads import forward, softmax

CANDIDATE = Candidate("mobilenet", name="linear", train=Training(6, batch_size=16, optimizer=Optimizer("adam", 1e-2)))
SOLVED = replace(CANDIDATE, head=Head(output="logistic"))
VALUES = 16


def pooled(images, classes, seed, values=VALUES):
    """Return features that are never negative, and labels: classes are clouds about corners."""
    random = np.random.default_rng(seed)
    corners = np.random.default_rng(5).uniform(0, 2, (classes, values))
    labels = np.arange(images) % classes
    return np.maximum(random.normal(corners[labels], 0.45), 0).astype(np.float32), labels


@pytest.fixture
def tested_case(made_case):
    """Return a maker of cases with a test set of their own, after the best candidate's final training."""

    def make(classes=4, images=200, tests=160, *, candidate=CANDIDATE, copies=1, holdout=False, **settings):
        features, labels = pooled(images, classes, 1)
        features, labels = np.repeat(features, copies, axis=0), np.repeat(labels, copies)
        fold = np.repeat(np.random.default_rng(3).permutation(images) % 3, copies)
        rounds = [Round(0, one, np.flatnonzero(fold != one), np.flatnonzero(fold == one)) for one in range(3)]
        strange, truth = pooled(tests, classes, 2)
        case = made_case(
            np.concatenate([features, strange]),
            np.concatenate([labels, truth]),
            [candidate],
            rounds=rounds[: 1 if holdout else 3],
            **settings,
        )
        parts, all_images = case.parts, np.arange(len(labels) + tests)
        train, test = all_images[: len(labels)], all_images[len(labels) :]
        parts = Parts(parts.rows, parts.labels, train, parts.validation, test, parts.rounds)
        judged = case.judged_of(case.best)
        job = final_job(judged.candidate, train, 1 if candidate is SOLVED else 5, 0)
        [trained] = judged.learner.train("finals", [job], case.place.jobs, case.place.progress)
        logits = judged.learner.logits(judged.candidate, trained.fits[0], test)
        said = softmax(logits.astype(np.float64))
        block = PredictionBlock(case.best, "test", None, None, ("",) * tests, truth, said, logits)
        final = Final(judged, job.epochs, trained.fits[0], 0.0)
        return replace(case, parts=parts, finals=(final,), opened=Opened((), (block,), 1))

    return make


def test_every_class_is_left_out_in_turn(tested_case):
    case = tested_case()
    found, detector = find_unknown(case)
    assert [one.name for one in found.trials] == list(case.classes) and found.judged == ""
    assert [one.images for one in found.trials] == [90] * 4
    assert {one.method for one in found.methods} == set(METHODS)
    best = max(found.methods, key=lambda one: one.auroc)
    assert (best.method, best.auroc) == (found.method, found.mean_auroc) == (detector.method, best.auroc)
    assert found.mean_auroc == pytest.approx(np.mean([one.auroc for one in found.trials])) and found.mean_auroc > 0.8
    assert all(one.refused > 0.05 for one in found.trials)
    assert detector.threshold == found.threshold
    assert 0.88 <= found.kept <= 0.99
    features = case.learner_of(case.best).features(case.parts.test)
    scores = detector.score(case.test_of(case.best).logits, features)
    assert found.kept == pytest.approx(np.mean(scores <= detector.threshold), abs=0.01)
    whole = found.coverage[-1]
    truth = case.test_of(case.best).labels
    assert (whole.coverage, whole.accuracy) == (1, np.mean(case.test_of(case.best).probabilities.argmax(1) == truth))


@pytest.mark.parametrize("candidate", [CANDIDATE, SOLVED])
def test_the_energy_of_a_trial_is_that_of_a_head_trained_without_the_class(tested_case, candidate):
    case = tested_case(candidate=candidate)
    found, _ = find_unknown(case)
    learner, parts, final = case.learner_of(case.best), case.parts, case.final_of(case.best)
    areas = []
    for label in range(4):
        rows = parts.train[parts.labels[parts.train] != label]
        job = final_job(final.judged.candidate, rows, final.epochs, 0)
        [trained] = learner.train(f"without {label}", [job], case.place.jobs, case.place.progress)
        everything = np.concatenate([parts.train, parts.test])
        strange = everything[parts.labels[everything] == label]
        known = parts.test[parts.labels[parts.test] != label]
        logits = learner.logits(final.judged.candidate, trained.fits[0], np.concatenate([known, strange]))
        truth = np.repeat([0, 1], [len(known), len(strange)])
        areas.append(roc_auc_score(truth, energy(np.delete(logits, label, axis=1))))
    said = next(one.auroc for one in found.methods if one.method == ENERGY)
    assert said == pytest.approx(np.mean(areas), abs=1e-6)


def test_a_second_start_finds_the_same_and_trains_nothing(tested_case, monkeypatch):
    case = tested_case()
    first, detector = find_unknown(case)
    monkeypatch.setattr("headstart.study.learners.train_bank", None)
    second, again = find_unknown(case)
    assert first == second
    assert all(np.array_equal(detector.arrays[name], again.arrays[name]) for name in detector.arrays)


def test_copies_of_an_image_are_no_neighbours_of_it(tested_case):
    signs = unknown._look(unknown._Study(tested_case(copies=2))).signs
    assert signs.near.min() > 0.01 and signs.near_roots.min() > 0.01


def test_a_holdout_serves_as_well(tested_case):
    found, _ = find_unknown(tested_case(holdout=True, kind="holdout"))
    assert len(found.trials) == 4 and 0.8 <= found.kept <= 1


def test_without_features_there_is_the_energy(tested_case, monkeypatch):
    case = tested_case()
    monkeypatch.setattr(HeadLearner, "features", lambda self, rows: None)
    found, detector = find_unknown(case)
    assert (found.method, found.trials, found.mean_auroc) == (ENERGY, (), None)
    assert "layers below the head train" in found.judged
    assert not detector.arrays
    said = energy(case.out_of_fold(case.best).logits)
    assert np.mean(said <= detector.threshold) >= 0.95 > np.mean(said < detector.threshold)
    outputs = Outputs(np.zeros((4, 4), np.float32), np.zeros((4, 0), np.float32), {})
    assert judge_folder(found, detector, outputs, case).folder.images == 4


def test_two_classes_are_not_left_out(tested_case):
    found, _ = find_unknown(tested_case(classes=2))
    assert (found.method, found.trials) == (TOGETHER, ()) and "2 classes" in found.judged
    assert all(one.auroc is None for one in found.methods)


def test_many_classes_are_drawn_from(tested_case):
    case = tested_case(classes=23, images=230, tests=92)
    found, _ = find_unknown(case)
    assert len(found.trials) == 20 and "Of 23 classes 20 were left out" in found.judged
    assert len({one.name for one in found.trials}) == 20
    assert found == find_unknown(case)[0]


def test_a_training_that_fails_is_said(tested_case, monkeypatch):
    def fail(*_):
        raise MemoryError("too large")

    case = tested_case()
    monkeypatch.setattr(HeadLearner, "train", fail)
    found, _ = find_unknown(case)
    assert found.method == ENERGY and "the training failed: MemoryError: too large" in found.judged


def test_large_sets_are_looked_at_in_part(tested_case, monkeypatch):
    case = tested_case()
    whole, _ = find_unknown(case)
    monkeypatch.setattr(unknown, "ROWS_AT_A_TIME", 7)
    small, _ = find_unknown(case)
    assert small.threshold == pytest.approx(whole.threshold, abs=1e-3)
    monkeypatch.setattr(unknown, "MOST_PER_TRIAL", 30)
    monkeypatch.setattr(unknown, "MOST_OUT_OF_FOLD", 60)
    found, _ = find_unknown(case)
    assert [one.images for one in found.trials] == [30] * 4
    assert len(unknown._look(unknown._Study(case)).labels) == 60 - 3 + 2


def test_a_folder_of_strangers_is_judged_against_the_test_images(tested_case):
    case = tested_case(unknown_images="/somewhere/strangers")
    found, detector = find_unknown(case)
    strange = np.random.default_rng(0).uniform(0, 2, (30, VALUES)).astype(np.float32)
    final = case.final_of(case.best)
    logits = forward(final.judged.candidate.head, final.fit.weights, strange)
    judged = judge_folder(found, detector, Outputs(logits, strange, {2: "torn", 9: "empty"}), case)
    kept = np.delete(np.arange(30), [2, 9])
    scores = detector.score(logits[kept], strange[kept])
    test = detector.score(case.test_of(case.best).logits, case.learner_of(case.best).features(case.parts.test))
    assert (judged.folder.name, judged.folder.images) == ("strangers", 28)
    assert judged.folder.refused == pytest.approx(np.mean(scores > detector.threshold))
    truth = np.repeat([0, 1], [len(test), 28])
    assert judged.folder.auroc == pytest.approx(roc_auc_score(truth, np.concatenate([test, scores])), abs=1e-6)
    assert replace(judged, folder=None) == found
    nothing = judge_folder(found, detector, Outputs(logits[:1], strange[:1], {0: "torn"}), case).folder
    assert (nothing.images, nothing.auroc, nothing.refused) == (0, None, None)
