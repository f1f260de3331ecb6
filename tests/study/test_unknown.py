"""How a study finds out to say "unknown": made features, real heads."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from headstart.classifier.predict import Outputs
from headstart.data.split import Round
from headstart.evaluation.unknown import ENERGY, METHODS, NEIGHBOURS, TOGETHER, energy
from headstart.recipe import Candidate, Head, Optimizer, Training
from headstart.runs.folder import PredictionBlock
from headstart.study import unknown
from headstart.study.calibration import unseen_logits
from headstart.study.conclude import Final, Opened
from headstart.study.judge import final_job
from headstart.study.learners import HeadLearner
from headstart.study.parts import Parts
from headstart.study.unknown import find_unknown, judge_folder, say_unreadable
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

    def make(classes=4, images=200, tests=160, *, candidate=CANDIDATE, copies=1, holdout=False, repeats=1, **settings):
        features, labels = pooled(images, classes, 1)
        features, labels = np.repeat(features, copies, axis=0), np.repeat(labels, copies)
        rounds = []
        for repeat in range(repeats):
            fold = np.repeat(np.random.default_rng(3 + repeat).permutation(images) % 3, copies)
            parted = [(np.flatnonzero(fold != one), np.flatnonzero(fold == one)) for one in range(3)]
            rounds += [Round(repeat, one, *sides) for one, sides in enumerate(parted)]
        strange, truth = pooled(tests, classes, 2)
        case = made_case(
            np.concatenate([features, strange]),
            np.concatenate([labels, truth]),
            [candidate],
            rounds=rounds[: 1 if holdout else None],
            **settings,
        )
        parts, all_images = case.parts, np.arange(len(labels) + tests)
        train, test = all_images[: len(labels)], all_images[len(labels) :]
        parts = Parts(parts.rows, parts.labels, train, parts.validation, test, parts.rounds)
        judged = case.judged_of(case.best)
        job = final_job(judged.candidate, train, 1 if candidate is SOLVED else 5, case.protocol)
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
    assert [one.images for one in found.trials] == [40] * 4
    assert {one.method for one in found.methods} == set(METHODS)
    assert max(found.methods, key=lambda one: one.auroc).method == found.method == detector.method
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


def trial_by_hand(case, label):
    """Return the AUROC of a head trained without a class: on the training images, and on the test images."""
    learner, labels, final = case.learner_of(case.best), case.parts.labels, case.final_of(case.best)
    one = case.parts.rounds[label % 3]
    job = unknown._job(unknown._Study(case), one, label)
    assert set(job.train) == set(one.train[labels[one.train] != label])
    [trained] = learner.train(f"without {label}", [job], case.place.jobs, case.place.progress)
    for known, strange in ((one.validation, case.parts.train), (case.parts.test, case.parts.test)):
        known, strange = known[labels[known] != label], strange[labels[strange] == label]
        logits = learner.logits(final.judged.candidate, trained.fits[0], np.concatenate([known, strange]))
        truth = np.repeat([0, 1], [len(known), len(strange)])
        yield roc_auc_score(truth, energy(np.delete(logits, label, axis=1)))


@pytest.mark.parametrize("candidate", [CANDIDATE, SOLVED])
def test_the_energy_of_a_trial_is_that_of_a_head_trained_without_the_class(tested_case, candidate, monkeypatch):
    case = tested_case(candidate=candidate)
    areas = [list(trial_by_hand(case, label)) for label in range(4)]
    # solved heads that train together share their axes: the same solution, but for the last digits
    tolerance = 5e-3 if candidate is SOLVED else 1e-6
    said = next(one.auroc for one in find_unknown(case)[0].methods if one.method == ENERGY)
    assert said == pytest.approx(np.mean([chosen for chosen, _ in areas]), abs=tolerance)
    monkeypatch.setattr(unknown, "METHODS", (ENERGY,))
    trials = find_unknown(case)[0].trials
    assert [one.auroc for one in trials] == pytest.approx([tested for _, tested in areas], abs=2 * tolerance)


def test_distances_of_a_trial_are_to_the_training_images_of_its_round(tested_case):
    case = tested_case()
    trials = unknown._look(unknown._Study(case)).trials
    one, labels = case.parts.rounds[2], case.parts.labels
    store, known = one.train[labels[one.train] != 2], one.validation[labels[one.validation] != 2]
    test = case.parts.test[labels[case.parts.test] == 2]
    features = case.learner_of(case.best).features
    for rows, signs in ((known, trials[2].known), (test, trials[2].test_strange)):
        search = NearestNeighbors(n_neighbors=1).fit(normalize(features(store)))
        expected, _ = search.kneighbors(normalize(features(rows)))
        np.testing.assert_allclose(signs.parts(NEIGHBOURS, 2), expected, atol=2e-3)


def test_no_test_image_chooses_the_method_or_a_threshold(tested_case):
    case = tested_case()
    random, labels = np.random.default_rng(0), case.parts.labels.copy()
    labels[case.parts.test] = random.permutation(labels[case.parts.test])
    nonsense = replace(case, parts=replace(case.parts, labels=labels))
    found, detector = find_unknown(case)
    other, same = find_unknown(nonsense)
    assert (other.methods, other.method, same.threshold) == (found.methods, found.method, detector.threshold)
    assert other.mean_auroc < 0.65 < 0.8 < found.mean_auroc


def test_a_class_without_test_images_has_no_area(tested_case):
    case = tested_case()
    test = case.parts.test[case.parts.labels[case.parts.test] != 1]
    block = case.test_of(case.best)
    kept = np.isin(case.parts.test, test)
    block = replace(
        block, labels=block.labels[kept], logits=block.logits[kept], probabilities=block.probabilities[kept]
    )
    opened = replace(case.opened, blocks=(block,))
    found, _ = find_unknown(replace(case, parts=replace(case.parts, test=test), opened=opened))
    assert (found.trials[1].images, found.trials[1].auroc, found.trials[1].refused) == (0, None, None)
    assert found.mean_auroc == pytest.approx(np.mean([found.trials[label].auroc for label in (0, 2, 3)]))


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
    _, logits = unseen_logits(case)
    assert np.mean(energy(logits) <= detector.threshold) >= 0.95 > np.mean(energy(logits) < detector.threshold)
    outputs = Outputs(np.zeros((4, 4), np.float32), np.zeros((4, 0), np.float32), {})
    assert judge_folder(found, detector, outputs, case).folder.images == 4


def test_repeats_do_not_blunt_the_energy(tested_case, monkeypatch):
    once, twice = tested_case(images=60), tested_case(images=60, repeats=2)
    monkeypatch.setattr(HeadLearner, "features", lambda self, rows: None)
    found, detector = find_unknown(twice)
    assert found.threshold == pytest.approx(find_unknown(once)[0].threshold, abs=1e-6)
    # images that no model had seen are judged as one model sees them, and so are the test images
    _, logits = unseen_logits(twice)
    assert 0.9 < np.mean(detector.score(logits, None) <= detector.threshold) < 1
    scores = detector.score(twice.test_of(twice.best).logits, None)
    assert np.mean(scores <= detector.threshold) == found.kept >= 0.85
    assert scores.max() < -0.1 and detector.threshold < -0.1


def test_two_classes_are_not_left_out(tested_case):
    found, _ = find_unknown(tested_case(classes=2))
    assert (found.method, found.trials) == (TOGETHER, ()) and "2 classes" in found.judged
    assert all(one.auroc is None for one in found.methods)


def test_many_classes_are_drawn_from(tested_case):
    case = tested_case(classes=23, images=230, tests=92)
    found, _ = find_unknown(case)
    assert len(found.trials) == 10 and "Of 23 classes 10 were left out" in found.judged
    assert len({one.name for one in found.trials}) == 10
    assert found == find_unknown(case)[0]


def test_a_round_with_one_other_class_is_no_trial(tested_case):
    case = tested_case(classes=3, images=60, tests=30)
    alone = [
        replace(one, validation=one.validation[case.parts.labels[one.validation] == 0]) for one in case.parts.rounds
    ]
    found, _ = find_unknown(replace(case, parts=replace(case.parts, rounds=tuple(alone))))
    assert [one.name for one in found.trials] == list(case.classes[1:]) and "Of 3 classes 2" in found.judged


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
    assert len(unknown._look(unknown._Study(case)).signs.logits) == 60 - 3 + 2


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


def said_of(count, errors, listener):
    say_unreadable([Path(f"/strange/{number}.jpg") for number in range(count)], errors, listener)
    return listener.said


@pytest.fixture
def listener(made_case):
    features, labels = pooled(12, 2, 0)
    return made_case(features, labels, [CANDIDATE], folds=2).place.progress


def test_strangers_that_cannot_be_read_are_counted_and_named(listener):
    errors = dict.fromkeys((4, 3, 1, 0), "torn")
    [line] = said_of(9, errors, listener)
    assert line.startswith("4 of 9 files of --unknown cannot be read")
    assert "0.jpg (torn), 1.jpg (torn), 3.jpg (torn) and 1 more" in line


def test_a_folder_without_a_readable_stranger_is_said_to_measure_nothing(listener):
    [line] = said_of(1, {0: "empty file"}, listener)
    assert line.startswith("None of the 1 files") and "is not measured: 0.jpg (empty file)" in line


def test_nothing_is_said_of_readable_strangers(listener):
    assert said_of(3, {}, listener) == []
