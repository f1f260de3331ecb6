"""Overfitting in numbers and words, on made-up histories."""

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
    assert found.sentence.startswith(
        "Training and validation stayed together: 92.0 % on training images against 91.0 %"
    )
    assert found.sentence.endswith("nothing was learned by heart that does not hold for new images.")


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


def test_a_loss_that_still_falls_asks_for_more_epochs():
    found = overfitting("a", [Course((0.8, 0.79), (0.8, 0.79), falling(level)) for level in (0.3, 0.31)])
    assert found.sentence.endswith("still falling at the last epoch (20): more epochs may help.")


def test_a_solved_head_has_one_epoch_and_cannot_turn():
    found = overfitting("a", [Course((0.99, 0.91), (0.99, 0.91), np.array([0.3]))] * 5, solved=True)
    assert found.turned is None and found.epochs == 1
    assert found.sentence.startswith("The head is solved, not trained in epochs: 99.0 % on training images against")
    assert "more images may narrow the gap" in found.sentence
    level = overfitting("a", [Course((0.92, 0.91), (0.92, 0.91), np.array([0.3]))] * 5, solved=True)
    assert level.sentence.endswith("nothing was learned by heart that does not hold for new images.")


def test_a_training_that_diverged_is_passed_over():
    diverged = np.array([0.5, 0.3, 0.5, np.nan])
    assert overfitting("a", [Course((0.9, 0.9), (0.9, 0.9), diverged)] * 2).turned == 2
    nowhere = np.full(4, np.nan)
    assert overfitting("a", [Course((0.2, 0.2), (0.2, 0.2), nowhere)] * 2).turned is None
