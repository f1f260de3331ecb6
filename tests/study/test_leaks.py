"""Test images that are also training images: who they are, and what is right without them, counted by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from headstart.data.audit import Leak
from headstart.data.table import NearGroup
from headstart.study.leaks import clean_tests, contaminated, leak_effect

PATHS = tuple(f"test/{number}.png" for number in range(10))
LABELS = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
GUESSES = np.array([0, 0, 0, 1, 1, 1, 1, 1, 0, 0])


def leaked(*leaks, near=()):
    """Return the numbers of the test images that are contaminated."""
    plan = SimpleNamespace(audit=SimpleNamespace(leaks=leaks), table=SimpleNamespace(near=near))
    parts = SimpleNamespace(test=np.arange(10), paths=lambda rows: tuple(PATHS[row] for row in rows))
    found = contaminated(plan, parts)
    assert found.shape == (10,)
    return np.flatnonzero(found).tolist()


def block(name, guesses):
    return SimpleNamespace(candidate=name, labels=LABELS, probabilities=np.eye(2)[guesses])


def test_test_images_with_an_equal_or_near_one_to_learn_from_are_contaminated():
    assert leaked(
        Leak("exact", ("test/0.png", "train/a.png"), ("train", "test")),
        Leak("near", ("test/0.png", "test/1.png", "train/a.png"), ("train", "test")),
        Leak("near", ("test/5.png", "validation/b.png"), ("validation", "test")),
        Leak("exact", ("train/c.png", "validation/c.png"), ("train", "validation")),
    ) == [0, 1, 5]
    assert leaked() == []


def test_chains_too_long_to_be_joined_do_not_count():
    chain = ("test/0.png", "test/1.png", "test/2.png", "train/a.png")
    leaks = (Leak("near", chain, ("train", "test")), Leak("exact", ("test/1.png", "train/b.png"), ("train", "test")))
    assert leaked(*leaks) == [0, 1, 2]
    assert leaked(*leaks, near=(NearGroup(chain, joined=True),)) == [0, 1, 2]
    assert leaked(*leaks, near=(NearGroup(chain, joined=False),)) == [1]


def test_every_finalist_is_judged_on_the_others():
    blocks = [block("winner", GUESSES), block("other", LABELS)]
    first, second = clean_tests(blocks, np.isin(np.arange(10), [0, 1, 5]))
    assert (first.candidate, first.images, first.contaminated, first.right) == ("winner", 10, 3, 3)
    assert first.accuracy == pytest.approx(3 / 7)
    assert first.ci95 == pytest.approx(proportion_confint(3, 7, method="wilson"))
    assert (second.candidate, second.right, second.accuracy) == ("other", 7, 1.0)
    effect = leak_effect(first, 0.6)
    assert (effect.candidate, effect.leaked, effect.accuracy) == ("winner", 3, 0.6)
    assert (effect.accuracy_without, effect.accuracy_without_ci95) == (first.accuracy, first.ci95)


def test_without_contaminated_images_nothing_is_said():
    assert clean_tests([block("winner", GUESSES)], np.zeros(10, bool)) == ()
    assert leak_effect(None, 0.6) is None


def test_where_every_test_image_is_contaminated_nothing_is_left_to_judge():
    [only] = clean_tests([block("winner", GUESSES)], np.ones(10, bool))
    assert (only.contaminated, only.right) == (10, 0)
    assert only.accuracy is only.ci95 is None
    assert leak_effect(only, 0.6).accuracy_without is None
