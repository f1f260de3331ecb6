"""The learning curve of a case: which images join when, how they are trained, and what is said."""

import dataclasses
import itertools

import numpy as np
import pytest

from headstart.data.split import Round
from headstart.evaluation.evidence import LearningPoint
from headstart.evaluation.learning_curve import Gain
from headstart.evaluation.metrics import fold_values
from headstart.recipe import Candidate, Head, Optimizer, Schedule, Training
from headstart.study.learning_curve import learning_curve, sentence_of, smaller_rounds

SOLVED = Candidate("made", "solved", head=Head(output="logistic"))
TRAINED = Candidate(
    "made", "trained", train=Training(4, 16, Optimizer("adam", 1e-1), Schedule("steps", 0.5, 2), patience=3)
)
SLOW = Candidate("made", "slow", train=Training(4, 16, Optimizer("adam", 1e-5)))


def clusters(images=300, *, classes=3, inputs=12, apart=0.6, seed=0):
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(images) % classes)
    return apart * random.standard_normal((classes, inputs))[labels] + random.standard_normal((images, inputs)), labels


@pytest.fixture
def case(made_case):
    return made_case(*clusters(), [SLOW, TRAINED], folds=3, learning_curve=True)


def test_parts_are_stratified_nested_and_of_the_training_images(case):
    parts = case.parts
    sizes = smaller_rounds(parts, seed=0)
    assert len(sizes) == 5
    for place, whole in enumerate(parts.rounds):
        trains = [rounds[place].train for rounds in sizes]
        for share, train in zip((0.05, 0.1, 0.2, 0.35, 0.6), trains, strict=True):
            counts, all_counts = np.bincount(parts.labels[train]), np.bincount(parts.labels[whole.train])
            assert np.abs(counts - share * all_counts).max() <= 1.5
        for small, large in itertools.pairwise([*trains, whole.train]):
            assert np.isin(small, large).all() and len(small) < len(large)
            assert (np.diff(small) > 0).all()
        assert all(np.array_equal(rounds[place].validation, whole.validation) for rounds in sizes)


def test_another_seed_takes_other_images(case):
    one, same, other = (smaller_rounds(case.parts, seed=seed)[1][0].train for seed in (0, 0, 1))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_groups_join_as_a_whole(made_case):
    features, labels = clusters()
    groups = [f"group {label} {place // 12}" for place, label in enumerate(labels)]
    case = made_case(features, labels, [SLOW], groups=groups, folds=3)
    for rounds in smaller_rounds(case.parts, seed=0):
        for small, whole in zip(rounds, case.parts.rounds, strict=True):
            inside = {groups[row] for row in small.train}
            assert {row for row in whole.train if groups[row] in inside} == set(small.train.tolist())


def test_few_images_make_fewer_sizes_and_none_twice(made_case):
    case = made_case(*clusters(27), [SLOW], folds=3, learning_curve=True)
    counts = [sum(len(one.train) for one in rounds) for rounds in smaller_rounds(case.parts, seed=0)]
    assert counts == sorted(set(counts)) and counts[-1] < 54
    assert min(np.bincount(case.parts.labels[smaller_rounds(case.parts, seed=0)[0][0].train])) == 2


def test_all_parts_train_at_once_for_as_many_steps_as_the_whole(case, monkeypatch):
    case.ranked[:] = [one for one in case.ranked if one.id == "trained"]
    case.results[:] = case.ranked
    asked, learner = [], case.judged[0].learner
    train = learner.train
    monkeypatch.setattr(learner, "train", lambda stage, jobs, *rest: (asked.append(jobs), train(stage, jobs, *rest))[1])
    learning_curve(case)
    assert len(asked) == 1 and len(asked[0]) == 5 * 3
    for job in asked[0]:
        steps = job.epochs * -(-len(job.train) // 16)
        assert abs(steps - 4 * -(-200 // 16)) <= -(-len(job.train) // 16)
        assert job.epochs == job.settings.epochs
        assert job.settings.patience == pytest.approx(0.75 * job.epochs, abs=1)
        assert job.settings.schedule.every == pytest.approx(0.5 * job.epochs, abs=1)
    assert len({job.key for job in asked[0]}) == 15


@pytest.mark.parametrize("score_epoch", ["last", "best"])
def test_every_size_is_judged_at_its_last_epoch(made_case, monkeypatch, score_epoch):
    case = made_case(*clusters(), [SLOW, TRAINED], folds=3, learning_curve=True, score_epoch=score_epoch)
    trained, learner = [], case.judged[0].learner
    train = learner.train

    def listen(*given):
        trained.extend(train(*given))
        return trained

    monkeypatch.setattr(learner, "train", listen)
    found = learning_curve(case)
    whole = case.judged_of(case.best).fits
    fits = [*(one.fits[0] for one in trained), *whole]
    lasts = [fit.history[-1].validation.accuracy for fit in fits]
    assert [value for point in found.points for value in point.accuracy.folds] == lasts
    chose = any(fit.best.validation.accuracy > fit.last.validation.accuracy for fit in fits)
    assert chose == (score_epoch == "best")
    now = found.points[-1].accuracy
    assert now.mean == pytest.approx(case.ranked[0].cv.accuracy.last_epoch_mean)
    assert found.expected[0].accuracy >= now.mean
    assert found.sentence.endswith(
        f" All sizes were judged at the last epoch ({100 * now.mean:.1f} % with 200 images): the best of its many "
        "epochs would flatter a small part most."
    )


def test_on_noise_a_small_part_is_no_better_than_chance(made_case):
    """Choosing among the many epochs of small parts used to lift them the most: the curve went down."""
    random, smallest, flattered = np.random.default_rng(0), [], []
    for seed in range(6):
        features, labels = random.standard_normal((90, 6)), np.arange(90) % 3
        fast = Candidate("made", "fast", train=Training(6, 16, Optimizer("sgd", 0.3)))
        case = made_case(features, labels, [fast], folds=3, learning_curve=True, seed=seed, score_epoch="best")
        flattered.append(case.ranked[0].cv.accuracy.mean)
        smallest.append(learning_curve(case).points[0].accuracy.mean)
    assert np.mean(flattered) > 0.37
    assert np.mean(smallest) == pytest.approx(1 / 3, abs=0.04)


def test_a_solved_head_has_no_epoch_to_speak_of(made_case):
    case = made_case(*clusters(90), [SOLVED], folds=3, learning_curve=True)
    found = learning_curve(case)
    assert "epoch" not in found.sentence
    assert found.points[-1].accuracy == case.ranked[0].cv.accuracy


def test_more_images_are_better_and_the_curve_says_so(case):
    found = learning_curve(case)
    assert found.candidate == case.best
    means = [point.accuracy.mean for point in found.points]
    assert [point.images for point in found.points] == sorted(point.images for point in found.points)
    assert found.points[-1].images == 200 and means[-1] > means[0] + 0.05
    assert all(point.accuracy.ci95 is not None and len(point.accuracy.folds) == 3 for point in found.points)
    assert [one.images for one in found.expected] == [300, 400, 800]
    for one in found.expected:
        assert means[-1] <= one.ci95[0] <= one.accuracy <= one.ci95[1] <= 1
    assert "twice as many" in found.sentence.lower()


def test_the_curve_foretells_what_more_images_do(made_case):
    """Measured on 200 and on 800 training images of the same kind, with the noise of either measurement."""
    features, labels = clusters(1200, apart=0.35)
    small, large = (
        made_case(features[:images], labels[:images], [SOLVED], folds=3, learning_curve=True) for images in (300, 1200)
    )
    foretold = learning_curve(small).expected[-1]
    truth = large.ranked[0].cv.accuracy.mean
    assert foretold.images == 800
    low, high = foretold.ci95
    noise = 2 * np.sqrt(0.25 / 300)
    assert low - noise <= truth <= high + noise
    assert foretold.accuracy == pytest.approx(truth, abs=noise)


def test_one_hold_out_has_a_curve_too(made_case):
    features, labels = clusters()
    rounds = [Round(0, 0, np.arange(200), np.arange(200, 300))]
    case = made_case(features, labels, [SOLVED], rounds=rounds, kind="holdout", learning_curve=True)
    found = learning_curve(case)
    assert len(found.points) == 6 and len(found.expected) == 3
    assert all(len(point.accuracy.folds) == 1 for point in found.points)


def test_what_was_trained_is_found_again(case, monkeypatch):
    first = learning_curve(case)
    monkeypatch.setattr("headstart.study.learners.train_bank", lambda *_, **__: pytest.fail("trained again"))
    assert learning_curve(case) == first


def test_without_a_frozen_backbone_there_is_no_curve(case, monkeypatch):
    monkeypatch.setattr(case.judged[0].learner, "features", lambda rows: None)
    assert learning_curve(case) is None
    assert case.place.progress.said[-1].startswith("No learning curve: it is drawn from cached features")


def test_a_tuned_best_one_is_stood_in_for_by_the_best_frozen_one(case):
    class Tuned:
        def features(self, rows):
            return None

    best, other = case.best, case.ranked[1].id
    case.judged[:] = [
        dataclasses.replace(one, learner=Tuned()) if one.candidate.id == best else one for one in case.judged
    ]
    found = learning_curve(case)
    assert found.candidate == other
    assert found.sentence.startswith(f"Measured with {other}, the best one whose backbone stays frozen.")


def test_a_failure_is_said_and_stops_nothing(case, monkeypatch):
    monkeypatch.setattr(case.judged[0].learner, "train", lambda *_: 1 / 0)
    assert learning_curve(case) is None
    assert case.place.progress.said[-1] == "No learning curve: the training failed. ZeroDivisionError: division by zero"


def test_it_is_drawn_only_when_asked_for(case):
    case.plan.recipe.protocol = dataclasses.replace(case.protocol, learning_curve=False)
    assert learning_curve(case) is None


def gains(double, fourfold=(0.02, 0.01, 0.03)):
    values = ((0.001, 0.0, 0.002), double, fourfold)
    return [
        Gain(images, gain, (low, high)) for images, (gain, low, high) in zip((1500, 2000, 4000), values, strict=True)
    ]


def point(mean):
    return LearningPoint(1000, fold_values([mean], [mean]))


def test_sentences():
    assert sentence_of(gains((0.012, 0.003, 0.02)), point(0.9), 0.01) == (
        "Twice as many training images (2,000) would bring about 1.2 points (95 % interval 0.3 to 2.0), four times as "
        "many about 2.0 points (95 % interval 1.0 to 3.0)."
    )
    assert sentence_of(gains((0.002, 0.0, 0.006)), point(0.9), 0.01) == (
        "More images of the same kind would hardly help: twice as many (2,000) would bring about 0.2 points (95 % "
        "interval 0.0 to 0.6)."
    )
    assert sentence_of(gains((0.012, 0.0, 0.04)), point(0.9), 0.01).startswith(
        "What more images would bring is not clear: twice as many (2,000) about 1.2 points (95 % interval 0.0 to 4.0)"
    )
    assert "too few" in sentence_of([], point(0.9), 0.01)
    # there is no room above 100 %
    assert "about 0.5 points (95 % interval 0.3 to 0.5)" in sentence_of(gains((0.012, 0.003, 0.02)), point(0.995), 0.01)
