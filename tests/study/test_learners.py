"""Who tells a training when to stop: a part of its own training images, never those that validate."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from headstart.data.split import Round
from headstart.recipe import Candidate, Head, Protocol, Training
from headstart.study.judge import final_job, round_job
from headstart.study.learners import _ready
from headstart.study.parts import Parts
from headstart.study.views import Copies

PATIENT = Candidate("made", "patient", train=Training(30, patience=3))


def copies_of(labels, groups=None, views=()):
    rows = [SimpleNamespace(group=groups[row] if groups else "", sha256=f"{row:064x}") for row in range(len(labels))]
    nothing = np.zeros(0, np.int64)
    return Copies(Parts(tuple(rows), np.array(labels), np.arange(len(labels)), nothing, nothing, ()), views, 0)


def test_about_a_tenth_of_every_class_is_held_back():
    labels = np.repeat(np.arange(3), [200, 40, 6])
    copies, rows = copies_of(labels), np.random.default_rng(0).permutation(246)
    train, watch = copies.held_back(rows, 0.1, 5)
    assert np.array_equal(np.sort(np.concatenate([train, watch])), np.arange(246))
    assert np.bincount(labels[watch]).tolist() == [20, 4, 1]
    assert all(np.array_equal(*pair) for pair in zip((train, watch), copies.held_back(rows, 0.1, 5), strict=True))
    assert not np.array_equal(watch, copies.held_back(rows, 0.1, 6)[1])


def test_groups_stay_together():
    random = np.random.default_rng(1)
    labels = np.repeat(np.arange(4), 60)
    groups = [f"class {label} object {random.integers(12)}" for label in labels]
    groups[:30] = [""] * 30
    copies = copies_of(labels, groups)
    for seed in range(20):
        train, watch = copies.held_back(np.arange(240), 0.1, seed)
        assert not {groups[row] for row in train} & {groups[row] for row in watch} - {""}
        assert set(labels[watch]) == set(labels[train]) == set(range(4))


@pytest.mark.parametrize("sizes", [(1, 1, 20), (2, 3, 20), (1, 1, 1)])
def test_every_class_keeps_an_image(sizes):
    labels = np.repeat(np.arange(3), sizes)
    for seed in range(10):
        train, watch = copies_of(labels).held_back(np.arange(len(labels)), 0.1, seed)
        assert set(labels[train]) == {0, 1, 2}
        assert np.bincount(labels[watch], minlength=3).tolist() == [0 if n == 1 else max(1, n // 10) for n in sizes]


def test_a_group_of_two_classes_is_not_divided_for_the_smaller_one():
    """The only images of the first class are in one group with images of the second."""
    labels = np.array([0, 0] + [1] * 20)
    groups = ["mixed"] * 4 + [f"{number}" for number in range(18)]
    for seed in range(40):
        train, watch = copies_of(labels, groups).held_back(np.arange(22), 0.1, seed)
        assert np.isin([0, 1, 2, 3], train).all()
        assert len(train) + len(watch) == 22


def jobs_of(candidate, **protocol):
    """Return the job of a round and the final one."""
    settings = Protocol(**protocol)
    one = Round(0, 0, np.arange(20, 100), np.arange(20))
    return round_job(candidate, one, settings), final_job(candidate, np.arange(100), 30, settings)


def test_a_patient_training_is_stopped_by_its_own_images():
    labels = np.arange(100) % 2
    for job in jobs_of(PATIENT):
        assert job.watch is None
        ready = _ready(job, copies_of(labels))
        assert np.array_equal(np.sort(np.concatenate([ready.train, ready.watch])), job.train)
        assert len(ready.watch) == round(0.1 * len(job.train))
        assert not np.isin(ready.watch, ready.train).any()
        assert job.validation is None or not np.isin(job.validation, ready.watch).any()
        assert np.array_equal(ready.watch, _ready(job, copies_of(labels)).watch)


def test_changed_copies_are_of_the_images_that_train_alone():
    job, _ = jobs_of(PATIENT)
    ready = _ready(job, copies_of(np.arange(100) % 2, views=("flip",)))
    assert ready.versions == 2 and len(ready.train) == 2 * (80 - len(ready.watch))
    assert np.array_equal(ready.train[len(ready.train) // 2 :] - 100, ready.train[: len(ready.train) // 2])
    assert (ready.watch < 100).all()


@pytest.mark.parametrize("candidate", [
    Candidate("made", "never stops", train=Training(30)),
    Candidate("made", "solved", head=Head(output="logistic"), train=Training(30, patience=3)),
])  # fmt: skip
def test_who_never_stops_early_holds_nothing_back(candidate):
    for job in jobs_of(candidate):
        assert _ready(job, copies_of(np.arange(100) % 2)) is job


def test_of_reports_the_validation_images_choose_and_final_trainings_run_to_their_end():
    of_round, final = jobs_of(PATIENT, score_epoch="best")
    assert of_round.watch is of_round.validation and of_round.patience == 3
    assert _ready(of_round, copies_of(np.arange(100) % 2)) is of_round
    assert final.watch is None and final.patience == 0 and final.epochs == 30
    assert _ready(final, copies_of(np.arange(100) % 2)) is final


def test_a_final_training_is_the_procedure_of_the_rounds_from_another_seed_each_time():
    of_round, final = jobs_of(PATIENT)
    assert dataclasses.replace(of_round.settings) == final.settings
    again = final_job(PATIENT, np.arange(100), 30, Protocol(), attempt=1)
    assert (final.key, again.key) == ("patient/final", "patient/final/1")
    assert len({final.init_seed, again.init_seed, of_round.init_seed}) == 3
    assert len({final.order_seed, again.order_seed, of_round.order_seed}) == 3
