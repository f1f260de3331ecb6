"""Overfitting in numbers and words, on made-up histories."""

import re

import numpy as np
import pytest

from headstart.evaluation.overfitting import Course, overfitting

EPOCHS = np.arange(1, 21)


def turning(lowest, *, level=0.3, slope=0.02):
    """Return a loss that falls until an epoch and rises again."""
    return level + slope * np.abs(EPOCHS - lowest)


def falling(level=0.3):
    return level + 1 / EPOCHS


def test_a_loss_that_rises_again_has_turned():
    folds = [Course((0.97, 0.92), (0.998, 0.91), turning(epoch, level=level)) for epoch, level in [(6, 0.3), (8, 0.31)]]
    found = overfitting("mobilenet", folds)
    assert found.turned == 7
    assert found.gap == pytest.approx(0.05) and found.last_gap == pytest.approx(0.088)
    assert found.epochs == 20
    assert found.sentence == (
        "Training ran ahead of validation: 99.8 % on training images against 91.0 % on validation images at the end; "
        "after epoch 7 of 20 the validation loss rose again: fewer epochs or stronger regularisation (dropout, L2) "
        "would do."
    )


def test_a_rise_within_the_spread_of_the_folds_is_none():
    folds = [Course((0.92, 0.91), (0.93, 0.91), turning(18, level=level)) for level in (0.2, 0.3, 0.4)]
    found = overfitting("mobilenet", folds)
    assert found.turned is None
    assert found.sentence == (
        "Training and validation stayed together: 92.0 % on training images against 91.0 % on validation images."
    )


@pytest.mark.parametrize("last", [(0.5, 0.556), (0.85, 0.92), (0.91, 0.9)])
def test_a_loss_that_turned_is_all_that_is_told_where_training_is_not_ahead(last):
    found = overfitting("a", [Course((0.83, 0.67), last, np.array([0.5, 0.3, 0.25, 0.4]))])
    assert found.last_gap == pytest.approx(last[0] - last[1])
    assert found.sentence == "After epoch 3 of 4 the validation loss rose again: fewer epochs would do."


@pytest.mark.parametrize(("train", "validation"), [(0.8, 0.95), (0.48, 0.58)])
def test_validation_may_do_better_than_training(train, validation):
    folds = [Course((train, validation), (train, validation), np.array([0.5, 0.3, 0.31]))] * 2
    words = (
        f"{100 * train:.1f} % on training images against {100 * validation:.1f} % on validation images. That may come"
    )
    found = overfitting("a", folds)
    assert found.gap == pytest.approx(train - validation) and found.gap < 0
    assert found.sentence == (
        f"Validation did better than training: {words} of few validation images, or an epoch chosen by them."
    )
    solved = overfitting("a", folds, solved=True)
    assert solved.sentence == (
        "The head is solved, not trained in epochs. Validation did better than training: "
        f"{words} of few validation images."
    )


def test_what_never_learned_is_not_praised():
    found = overfitting("a", [Course((0.34, 0.33), (0.34, 0.33), np.array([1.1, 1.1, 1.11, 1.1]))] * 3)
    assert found.sentence.endswith("34.0 % on training images against 33.0 % on validation images.")


@pytest.mark.parametrize("solved", [False, True])
def test_the_words_never_contradict_the_numbers(solved):
    random = np.random.default_rng(1)
    for _ in range(300):
        best, last = random.random((2, 2)).round(2)
        folds = [Course(tuple(best), tuple(last), 1 + 0.3 * random.random(4)) for _ in range(random.integers(1, 4))]
        found = overfitting("a", folds, solved=solved)
        shown = found.gap
        if not solved and (found.turned is not None or found.gap <= 0.03 < found.last_gap):
            shown = found.last_gap
        ahead = re.search(r"Training (ran|is) ahead of validation", found.sentence)
        assert bool(ahead) == (shown > 0.03)
        assert ("did better than training" in found.sentence) == (found.turned is None and shown < -0.03)
        assert ("stayed together" in found.sentence) == (found.turned is None and abs(shown) <= 0.03)


def test_jitter_between_epochs_is_no_turn():
    random = np.random.default_rng(0)
    for _ in range(50):
        losses = [0.25 + 0.004 * random.standard_normal(20) for _ in range(5)]
        assert overfitting("a", [Course((0.92, 0.91), (0.92, 0.91), one) for one in losses]).turned is None


def test_one_fold_needs_a_clear_rise():
    assert overfitting("a", [Course((0.9, 0.9), (0.9, 0.9), np.array([0.5, 0.3, 0.33]))]).turned is None
    assert overfitting("a", [Course((0.9, 0.9), (0.9, 0.9), np.array([0.5, 0.3, 0.36]))]).turned == 2


def test_a_gap_without_a_turn():
    found = overfitting("a", [Course((1.0, 0.9), (1.0, 0.9), np.minimum(falling(), 0.4)) for _ in range(3)])
    assert found.turned is None
    assert "did not rise again" in found.sentence and "100.0 %" in found.sentence


def test_a_gap_that_opens_after_the_best_epoch():
    """The best epoch is chosen by validation, and may hide that training ran ahead."""
    found = overfitting("a", [Course((0.4, 0.44), (0.445, 0.356), np.array([1.1, 1.0, 1.01]))] * 3)
    assert found.gap < 0 < found.last_gap
    assert found.sentence.startswith(
        "Training ran ahead of validation: 44.5 % on training images against 35.6 % on validation images at the end, "
        "but the validation loss did not rise again"
    )


def test_a_loss_that_still_falls_asks_for_more_epochs():
    found = overfitting("a", [Course((0.8, 0.79), (0.8, 0.79), falling(level)) for level in (0.3, 0.31)])
    assert found.sentence.endswith(
        "validation images. The validation loss was still falling at the last epoch (20): more epochs may help."
    )


def test_a_solved_head_has_one_epoch_and_cannot_turn():
    found = overfitting("a", [Course((0.99, 0.91), (0.99, 0.91), np.array([0.3]))] * 5, solved=True)
    assert found.turned is None and found.epochs == 1
    assert found.sentence.startswith(
        "The head is solved, not trained in epochs. Training is ahead of validation: 99.0 % on training images against"
    )
    assert "more images may narrow the gap" in found.sentence
    level = overfitting("a", [Course((0.92, 0.91), (0.92, 0.91), np.array([0.3]))] * 5, solved=True)
    assert level.sentence.endswith("stayed together: 92.0 % on training images against 91.0 % on validation images.")


def test_a_training_that_diverged_is_passed_over():
    diverged = np.array([0.5, 0.3, 0.5, np.nan])
    assert overfitting("a", [Course((0.9, 0.9), (0.9, 0.9), diverged)] * 2).turned == 2
    nowhere = np.full(4, np.nan)
    found = overfitting("a", [Course((0.2, 0.2), (0.2, 0.2), nowhere)] * 2)
    assert found.turned is None and found.sentence.startswith("No epoch had a finite validation loss: 20.0 %")
