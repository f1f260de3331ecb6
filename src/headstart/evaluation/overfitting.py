"""How far training ran ahead of validation, and when validation turned: numbers from histories, and words for them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.evaluation.evidence import Overfitting

# A smaller lead of training is no news: every model knows its own images a little better.
NOTABLE_GAP = 0.03
# A rise of the loss below these shares of its lowest value is the jitter from epoch to epoch. With a single fold
# nothing says how much it jitters.
SMALLEST_RISE, SMALLEST_RISE_OF_ONE = 0.1, 0.15


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """How one fold went: accuracies ``(training, validation)`` in 0..1, and the validation loss of every epoch.

    ``losses`` is ``(epochs,)`` in nats; epochs whose loss is no finite number are passed over.
    """

    best: tuple[float, float]
    last: tuple[float, float]
    losses: NDArray[Any]


def overfitting(candidate: str, folds: Sequence[Course], *, solved: bool = False) -> Overfitting:
    """Return how far training ran ahead of validation, as means over the folds.

    The validation loss has turned when it ends, in the mean over the folds, above its lowest value by more than the
    folds' lowest values differ among each other (one standard deviation), and by more than 10 % (15 % for one fold).

    Args:
        folds: at least one.
        solved: the head is solved and not trained in epochs: there is nothing to turn.
    """
    best, last = _means([one.best for one in folds]), _means([one.last for one in folds])
    turned = None if solved else _turned([one.losses for one in folds])
    epochs = float(np.mean([len(one.losses) for one in folds]))
    words = _solved_words(best) if solved else _words(best, last, turned=turned, epochs=epochs, folds=folds)
    return Overfitting(candidate, best[0] - best[1], last[0] - last[1], turned, epochs, words)


def _means(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    train, validation = np.mean(pairs, axis=0)
    return float(train), float(validation)


def _turned(losses: Sequence[NDArray[Any]]) -> float | None:
    """Return the mean epoch (from 1) of the lowest validation loss, None where it did not rise again."""
    finite = [np.where(np.isfinite(one), one, np.inf) for one in losses]
    lowest = np.array([one.min() for one in finite])
    ends = np.array([one[np.isfinite(one)][-1] if np.isfinite(one).any() else np.inf for one in finite])
    if not np.isfinite(lowest).all():
        return None
    level, rise = lowest.mean(), (ends - lowest).mean()
    spread = lowest.std(ddof=1) if len(lowest) > 1 else 0.0
    smallest = SMALLEST_RISE if len(lowest) > 1 else SMALLEST_RISE_OF_ONE
    if rise <= max(spread, smallest * level):
        return None
    return float(np.mean([one.argmin() + 1 for one in finite]))


def _words(
    best: tuple[float, float],
    last: tuple[float, float],
    *,
    turned: float | None,
    epochs: float,
    folds: Sequence[Course],
) -> str:
    if turned is not None:
        return _turned_words(last, f"after epoch {_number(turned)} of {_number(epochs)} the validation loss rose again")
    if not any(np.isfinite(one.losses).any() for one in folds):
        return f"No epoch had a finite validation loss: {_both(last)}. A smaller learning rate may help."
    ahead = _where_ahead(best, last)
    if ahead:
        return (
            f"Training ran ahead of validation: {ahead}, but the validation loss did not rise again: the epochs do no "
            "harm; more images, changed copies of them or stronger regularisation may narrow the gap."
        )
    words = _level_words(best, "few validation images, or an epoch chosen by them")
    if epochs > 1 and all(_falls_to_the_end(one.losses) for one in folds):
        words += f" The validation loss was still falling at the last epoch ({_number(epochs)}): more epochs may help."
    return words


def _where_ahead(best: tuple[float, float], last: tuple[float, float]) -> str:
    """Return where training is ahead, in words: at the best epoch or, chosen by validation as that is, at the last."""
    if best[0] - best[1] > NOTABLE_GAP:
        return _both(best)
    return f"{_both(last)} at the end" if last[0] - last[1] > NOTABLE_GAP else ""


def _turned_words(last: tuple[float, float], rise: str) -> str:
    """Return words for a loss that rose again; of the accuracies only where training is ahead in them too."""
    if last[0] - last[1] > NOTABLE_GAP:
        return (
            f"Training ran ahead of validation: {_both(last)} at the end; {rise}: fewer epochs or stronger "
            "regularisation (dropout, L2) would do."
        )
    return f"{rise[0].upper()}{rise[1:]}: fewer epochs would do."


def _solved_words(best: tuple[float, float]) -> str:
    beginning = "The head is solved, not trained in epochs."
    if best[0] - best[1] > NOTABLE_GAP:
        return (
            f"{beginning} Training is ahead of validation: {_both(best)}. How strongly it is held back was already "
            "chosen inside the training images; more images may narrow the gap."
        )
    return f"{beginning} {_level_words(best, 'few validation images')}"


def _level_words(pair: tuple[float, float], cause: str) -> str:
    """Return words for training that is not ahead; ``cause`` is what lets validation do better."""
    if pair[1] - pair[0] > NOTABLE_GAP:
        return f"Validation did better than training: {_both(pair)}. That may come of {cause}."
    return f"Training and validation stayed together: {_both(pair)}."


def _falls_to_the_end(losses: NDArray[Any]) -> bool:
    """Tell whether the loss of the last epoch is below those of all others."""
    finite = losses[np.isfinite(losses)]
    return bool(np.isfinite(losses[-1]) and (finite[:-1] > losses[-1]).all())


def _both(pair: tuple[float, float]) -> str:
    return f"{100 * pair[0]:.1f} % on training images against {100 * pair[1]:.1f} % on validation images"


def _number(epoch: float) -> str:
    return str(math.floor(epoch + 0.5))
