"""The figures that lead: against counts of a made-up study."""

import dataclasses

import numpy as np
import pytest

from headstart.evaluation import headline
from headstart.evaluation.evidence import CleanTest
from headstart.evaluation.intervals import wilson_interval
from headstart.evaluation.metrics import evaluate, fold_values
from headstart.evaluation.results import FinalResult

LABELS = np.arange(40) % 2
RIGHT = np.arange(40) >= 5
TEST = evaluate(LABELS, np.eye(2)[np.where(RIGHT, LABELS, 1 - LABELS)] * 0.8 + 0.1, ["a", "b"])
CLEAN = CleanTest("m", 40, 10, 25, 25 / 30, wilson_interval(25, 30))


def test_the_test_figure_is_that_of_images_that_were_not_learned_from():
    all_images = headline.figure_of(TEST, None)
    assert (all_images.accuracy, all_images.images) == (RIGHT.mean(), 40)
    assert all_images.ci95 == pytest.approx(wilson_interval(35, 40))
    assert headline.figure_of(TEST, CLEAN) == headline.Figure(25 / 30, wilson_interval(25, 30), 30)
    assert headline.figure_of(TEST, dataclasses.replace(CLEAN, contaminated=40, accuracy=None, ci95=None)) is None


@pytest.mark.parametrize(
    ("images", "shared", "words"),
    [
        (600, 283, "283 of 600 test images (47 %) are also training images; on the other 317: 83.3 %."),
        (2_000, 1, "1 of 2,000 test images (1 %) are also training images; on the other 1,999: 83.3 %."),
        (2_000, 1_999, "1,999 of 2,000 test images (99 %) are also training images; on the other 1: 83.3 %."),
    ],
)
def test_shared_images_are_counted_in_words(images, shared, words):
    assert headline.shared_in_words(dataclasses.replace(CLEAN, images=images, contaminated=shared)) == words


def test_where_no_image_is_left_the_test_says_nothing():
    none = dataclasses.replace(CLEAN, contaminated=40, accuracy=None, ci95=None)
    assert headline.shared_in_words(none).endswith("so they say nothing about new ones.")


def test_folds_are_lowered_alike_and_stay_shares():
    values = fold_values([0.9, 0.98, 1.0], [0.9, 0.98, 1.0], test_share=0.5, bounds=(0.0, 1.0))
    shown = headline.lowered_values(values, 0.02)
    assert shown.mean == pytest.approx(0.94) and shown.folds == values.folds and shown.std == values.std
    assert shown.ci95 == pytest.approx([end - 0.02 for end in values.ci95])
    assert headline.lowered_values(values, 0.0) is values
    assert headline.lowered(0.01, 0.02) == 0.0


@pytest.mark.parametrize(
    ("epoch", "selection", "by"), [("last", 0.01, 0.01), ("last", None, 0.0), ("best", 0.01, 0.0), ("last", 0.0, 0.0)]
)
def test_only_folds_scored_at_their_end_are_lowered(epoch, selection, by):
    assert headline.shift_of(epoch, selection) == by


def test_a_repeated_final_training_is_said():
    final = FinalResult("m", 3, TEST, None, TEST)
    assert headline.repeated_in_words(final, "MobileNet") == ""
    said = headline.repeated_in_words(dataclasses.replace(final, attempts=3, loss_ratio=6.04), "MobileNet")
    assert said.startswith("The final training of MobileNet went astray") and "of 3 trainings" in said
    assert "6.0 times that of the worst fold" in said
    unknown = headline.repeated_in_words(dataclasses.replace(final, attempts=2), "MobileNet")
    assert unknown.endswith("on the training images is kept.")
