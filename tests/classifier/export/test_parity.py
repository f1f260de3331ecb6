"""What counts as saying the same."""

import dataclasses

import numpy as np
import pytest

from headstart.classifier.export import parity
from headstart.classifier.export.comparison import Compared
from headstart.errors import ExportError

CLASSES = ("crow", "jay", "no")


def compared(expected, found, labels=()):
    names = tuple(f"{place}.jpg" for place in range(len(expected)))
    return Compared(names, labels, np.array(expected, float), np.array(found, float), 1)


def test_within_the_tolerance():
    found = parity.check(
        compared([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], [[0.7005, 0.1995, 0.1], [0.1, 0.1, 0.8]]), CLASSES, "x"
    )
    assert (found.images, found.unreadable, found.same_answer, found.near_ties) == (2, 1, 2, 0)
    assert found.largest_difference == pytest.approx(0.0005)
    assert found.mean_difference == pytest.approx(0.00025)


def test_beyond_it_the_worst_picture_class_and_values_are_named():
    given = compared([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]], [[0.69, 0.21, 0.1], [0.15, 0.25, 0.6]])
    with pytest.raises(ExportError) as error:
        parity.check(given, CLASSES, "onnxruntime 1.0")
    assert str(error.value) == (
        "onnxruntime 1.0 does not say what the classifier says of 1.jpg: 'jay' has probability 0.250000 instead of "
        "0.600000. Its answer is 'no' instead of 'jay'. 2 of 2 pictures are beyond the tolerance of 0.001. "
        "Nothing was written."
    )


def test_a_tie_may_fall_to_either_side_but_only_a_tie():
    tie = compared([[0.45, 0.4502, 0.0998]], [[0.4502, 0.45, 0.0998]])
    assert (parity.check(tie, CLASSES, "x").same_answer, parity.check(tie, CLASSES, "x").near_ties) == (0, 1)
    # each value within the tolerance, the two highest further apart than it, the answer another one
    with pytest.raises(ExportError, match="Its answer is 'crow' instead of 'jay'"):
        parity.check(compared([[0.4492, 0.4508, 0.1]], [[0.4501, 0.4499, 0.1]]), CLASSES, "x")


def test_what_is_no_number_is_wrong():
    with pytest.raises(ExportError, match=r"'crow' has probability nan instead of 0\.7"):
        parity.check(compared([[0.7, 0.2, 0.1]], [[np.nan, 0.2, 0.1]]), CLASSES, "x")


def int8(expected, found, labels=()):
    return parity.check_int8(compared(expected, found, labels), CLASSES, method="m", calibration=5)


def test_int8_measures_accuracy_where_there_are_labels():
    expected = np.tile([0.7, 0.2, 0.1], (50, 1))
    found = expected.copy()
    found[3] = [0.3, 0.5, 0.2]
    cost = int8(expected, found, ("crow",) * 40 + ("jay",) * 8 + ("stranger",) * 2)
    assert (cost.accuracy_before, cost.accuracy_after) == (40 / 48, 39 / 48)
    assert (cost.measured_images, cost.calibration_images, cost.agreement) == (50, 5, 0.98)
    assert cost.mean_difference == pytest.approx(0.4 / 50)
    unlabelled = int8(expected, found)
    assert (unlabelled.accuracy_before, unlabelled.agreement) == (None, 0.98)


def test_int8_that_costs_too_much_fails():
    expected = np.tile([0.7, 0.2, 0.1], (50, 1))
    other = expected[:, [1, 0, 2]]
    three = np.where(np.arange(50)[:, None] < 3, other, expected)
    with pytest.raises(ExportError, match=r"In int8 3 of 50 images get another answer \(5% may\)\. Nothing"):
        int8(expected, three)
    two = np.where(np.arange(50)[:, None] < 2, other, expected)
    assert int8(expected, two).agreement == 0.96
    with pytest.raises(ExportError, match=r"In int8 accuracy falls from 1\.0000 to 0\.9600 \(it may by 0\.02\)\. No"):
        int8(expected, two, ("crow",) * 50)
    with pytest.raises(ExportError, match="1 of 50 images get probabilities that are no numbers"):
        int8(expected, np.where(np.arange(50)[:, None] < 1, np.nan, expected))


def test_int8_may_not_be_far_off_in_the_mean():
    expected = np.tile([0.7, 0.2, 0.1], (50, 1))
    near, far = (expected + np.array([-step, step, 0]) for step in (0.045, 0.055))
    assert int8(expected, near).mean_difference == pytest.approx(0.045)
    with pytest.raises(ExportError, match=r"^In int8 probabilities differ by 0\.055 in the mean \(0\.05 is allowed\)"):
        int8(expected, far)
    half = np.where(np.arange(50)[:, None] % 2, expected, far)
    assert int8(expected, half).mean_difference == pytest.approx(0.0275)


def test_one_image_may_always_change():
    expected = np.tile([0.5, 0.45, 0.05], (4, 1))
    one, two = (np.where(np.arange(4)[:, None] < count, expected[:, [1, 0, 2]], expected) for count in (1, 2))
    assert int8(expected, one, ("crow",) * 4).agreement == 0.75
    with pytest.raises(ExportError, match=r"2 of 4 .* \(5% may\) and accuracy .* \(it may by one of 4 images\)"):
        int8(expected, two, ("crow",) * 4)


def test_one_class_has_no_ties():
    one = dataclasses.replace(compared([[1.0]], [[1.0]]))
    assert parity.check(one, ("crow",), "x").same_answer == 1
