"""The end of the verdict: what the sealed test says of the best candidate beside the other finalists."""

import numpy as np
import pytest

from headstart.evaluation.significance import compare_with_best
from headstart.study.finish import _beside_others

NAMES = {"near": "Near", "far": "Far", "above": "Above"}


def ending(**wrong: int) -> str:
    """Return the sentence's end when the best has 20 of 300 wrong and the others the given numbers."""
    right = {name: np.arange(300) >= count for name, count in {"best": 20, **wrong}.items()}
    return _beside_others(compare_with_best("best", right), NAMES)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({}, ""),
        ({"far": 80}, "; every other finalist did worse there, by more than chance explains"),
        ({"near": 22, "far": 80}, "; the test images do not tell it from Near"),
        ({"above": 2, "far": 80}, "; there Above did better by more than chance explains, though not in validation"),
    ],
)
def test_each_verdict_has_its_words(wrong, expected):
    assert ending(**wrong) == expected


def test_a_better_and_an_equal_finalist_are_both_named():
    assert "Above did better" in ending(above=2, near=22)
    assert "do not tell it from Near" in ending(above=2, near=22)
