"""Test accuracy with and without leaked images, counted by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from headstart.data.audit import Leak
from headstart.data.table import NearGroup
from headstart.study.leaks import leak_effect

PATHS = tuple(f"test/{number}.png" for number in range(10))
LABELS = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
GUESSES = np.array([0, 0, 0, 1, 1, 1, 1, 1, 0, 0])


def case_with(*leaks, near=()):
    block = SimpleNamespace(paths=PATHS, labels=LABELS, probabilities=np.eye(2)[GUESSES])
    return SimpleNamespace(
        best="winner",
        plan=SimpleNamespace(audit=SimpleNamespace(leaks=leaks), table=SimpleNamespace(near=near)),
        test_of={"winner": block}.__getitem__,
    )


def test_leaked_images_are_left_out():
    effect = leak_effect(
        case_with(
            Leak("exact", ("test/0.png", "train/a.png"), ("train", "test")),
            Leak("near", ("test/0.png", "test/1.png", "train/a.png"), ("train", "test")),
            Leak("near", ("test/5.png", "validation/b.png"), ("validation", "test")),
            Leak("exact", ("train/c.png", "validation/c.png"), ("train", "validation")),
        )
    )
    assert (effect.candidate, effect.leaked) == ("winner", 3)
    assert (effect.accuracy, effect.accuracy_without) == (0.6, pytest.approx(3 / 7))
    assert effect.accuracy_without_ci95 == pytest.approx(proportion_confint(3, 7, method="wilson"))


@pytest.mark.parametrize("leaks", [(), (Leak("exact", ("train/c.png", "validation/c.png"), ("train", "validation")),)])
def test_without_leaked_test_images_there_is_no_effect(leaks):
    assert leak_effect(case_with(*leaks)) is None


def test_where_every_test_image_leaked_nothing_is_left_to_judge():
    effect = leak_effect(case_with(Leak("near", (*PATHS, "train/a.png"), ("train", "test"))))
    assert (effect.leaked, effect.accuracy) == (10, 0.6)
    assert effect.accuracy_without is effect.accuracy_without_ci95 is None


def test_chains_too_long_to_be_joined_do_not_count():
    chain = ("test/0.png", "test/1.png", "test/2.png", "train/a.png")
    leaks = (Leak("near", chain, ("train", "test")), Leak("exact", ("test/1.png", "train/b.png"), ("train", "test")))
    assert leak_effect(case_with(*leaks)).leaked == 3
    assert leak_effect(case_with(*leaks, near=(NearGroup(chain, joined=True),))).leaked == 3
    assert leak_effect(case_with(*leaks, near=(NearGroup(chain, joined=False),))).leaked == 1
