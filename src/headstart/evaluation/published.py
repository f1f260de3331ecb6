"""Numbers that others have published, each beside the one found here."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from headstart.evaluation.results import (
    CandidateResult,
    CrossValidation,
    Evaluation,
    FinalResult,
    FoldValues,
    Published,
)
from headstart.recipe import PublishedValue

OF_FOLDS = ("accuracy", "loss")
RATIOS = ("precision", "recall", "specificity", "f1", "auc", "average_precision")
OF_CLASS = ("support", "tp", "tn", "fp", "fn", "accuracy", *RATIOS)
OF_ALL = ("accuracy", "loss", "balanced_accuracy", "precision_at_half", "recall_at_half")
OF_PARAMETERS = {
    "parameters": "total",
    "trainable_parameters": "trainable",
    "non_trainable_parameters": "non_trainable",
}
MATRIX = "confusion_matrix"
COUNTS = ("support", "tp", "tn", "fp", "fn", MATRIX, *OF_PARAMETERS)
"""Metrics that are whole numbers of images or weights."""

OF_EPOCHS = {"accuracy": "accuracy", "loss": "loss", "precision_at_half": "precision", "recall_at_half": "recall"}
"""Metrics that are recorded in every epoch, and their names there."""

NUMBERED = re.compile(r"(fold|epoch) (\d+)")
TOP = re.compile(r"top_(\d+)")


class Places:
    """Where classes stand: by their exact name, else whatever its case."""

    def __init__(self, classes: Sequence[str]) -> None:
        self._exact = {name: place for place, name in enumerate(classes)}
        self._folded = {name.casefold(): place for name, place in self._exact.items()}

    def of(self, name: str) -> int | None:
        """Return a class' place, None where there is no such class."""
        return self._exact.get(name, self._folded.get(name.casefold()))

    def names(self, pair: str) -> tuple[str, str]:
        """Return the two classes of ``TRUE:PREDICTED``, whose names may hold colons, as they are written there."""
        words = pair.split(":")
        cuts = [(":".join(words[:cut]), ":".join(words[cut:])) for cut in range(1, len(words))]
        known = [one for one in cuts if self.of(one[0]) is not None and self.of(one[1]) is not None]
        return (known or cuts or [(pair, "")])[0]


class Epoch(Protocol):
    """An epoch of a training, as ``runs`` keeps it; ``fold`` is None in a final training, ``epoch`` counts from 1."""

    @property
    def candidate(self) -> str: ...
    @property
    def fold(self) -> int | None: ...
    @property
    def epoch(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of one candidate; ``validated`` are the metrics that are published of its validation images."""

    result: CandidateResult
    final: FinalResult | None
    validated: frozenset[str]
    epochs: Sequence[Epoch] = field(default=())


def compare_published(
    published: Sequence[PublishedValue],
    candidates: Sequence[CandidateResult],
    finals: Sequence[FinalResult],
    classes: Sequence[str],
    *,
    epochs: Iterable[Epoch] = (),
) -> tuple[Published, ...]:
    """Return every published number, in order, with the one found here and the difference (here minus published).

    ``metric`` of a number is ``accuracy``, ``loss``, ``top_K``, ``balanced_accuracy``, a macro average
    (``precision``, ``recall``, ``specificity``, ``f1``, ``auc``, ``average_precision``), ``precision_at_half`` or
    ``recall_at_half``; ``METRIC:CLASS`` of one class (these ratios, ``accuracy``, ``support``, ``tp``, ``tn``, ``fp``,
    ``fn``); ``confusion_matrix:TRUE:PREDICTED``; ``accuracy:fold K`` or ``loss:fold K`` with K from 1; one of
    ``OF_EPOCHS`` with ``:epoch K`` (the mean over the folds that trained so long); ``parameters``,
    ``trainable_parameters`` or ``non_trainable_parameters``. Classes match whatever their case. Times have no value
    here: they vary from run to run.

    Values of a part come from the final training. Without validation images of their own, ``validation`` is the mean
    over the folds, and so is ``train`` where a candidate's validation value was published beside it, or where it has no
    final training. ``here`` is None where nothing comparable was found.

    Args:
        epochs: the rows of the history, for values of single epochs.
    """
    trained = {final.candidate: final for final in finals}
    rows: dict[str, list[Epoch]] = defaultdict(list)
    for row in epochs:
        rows[row.candidate].append(row)
    found = {one.id: Found(one, trained.get(one.id), _validated(published, one.id), rows[one.id]) for one in candidates}
    places = Places(classes)
    return tuple(_compared(value, found.get(value.candidate), places) for value in published)


def _validated(published: Iterable[PublishedValue], candidate: str) -> frozenset[str]:
    return frozenset(one.metric for one in published if (one.candidate, one.part) == (candidate, "validation"))


def _compared(value: PublishedValue, found: Found | None, places: Places) -> Published:
    here = _here(value.metric, value.part, found, places) if found else None
    if here is not None and not math.isfinite(here):
        here = None
    difference = None if here is None else here - value.value
    return Published(value.candidate, value.metric, value.part, value.value, here, difference)


def _here(metric: str, part: str, found: Found, places: Places) -> float | None:
    name, _, which = metric.partition(":")
    if name in OF_PARAMETERS:
        counts = found.result.parameters
        return None if counts is None else float(getattr(counts, OF_PARAMETERS[name]))
    if places.of(which) is None and (match := NUMBERED.fullmatch(which)):
        number = int(match[2])
        return _of_fold(name, part, number, found) if match[1] == "fold" else _of_epoch(name, part, number, found)
    if _from_folds(metric, part, found):
        return _of_folds(metric, part, found.result.cv)
    evaluation = None if found.final is None else _evaluation(found.final, part)
    return None if evaluation is None else _of_evaluation(name, which, evaluation, places)


def _from_folds(metric: str, part: str, found: Found) -> bool:
    """Tell whether a value is one of the folds': no other images validated, or it stands beside one of theirs."""
    if metric not in OF_FOLDS or part == "test":
        return False
    if found.final is None:
        return True
    return found.final.validation is None and (part == "validation" or metric in found.validated)


def _of_folds(metric: str, part: str, cv: CrossValidation | None) -> float | None:
    return None if cv is None else _fold_values(metric, part, cv).mean


def _of_fold(metric: str, part: str, number: int, found: Found) -> float | None:
    cv = found.result.cv
    if cv is None or metric not in OF_FOLDS or part == "test":
        return None
    folds = _fold_values(metric, part, cv).folds
    return folds[number - 1] if 1 <= number <= len(folds) else None


def _of_epoch(metric: str, part: str, number: int, found: Found) -> float | None:
    """Return the mean over the folds that trained so long; over the final training where no fold did."""
    if metric not in OF_EPOCHS or part == "test":
        return None
    name = OF_EPOCHS[metric] if part == "train" else f"val_{OF_EPOCHS[metric]}"
    rows = [row for row in found.epochs if row.epoch == number]
    rows = [row for row in rows if row.fold is not None] or rows
    values = [value for row in rows if (value := _number(row, name)) is not None]
    return sum(values) / len(values) if values else None


def _fold_values(metric: str, part: str, cv: CrossValidation) -> FoldValues:
    values: FoldValues = getattr(cv, f"train_{metric}" if part == "train" else metric)
    return values


def _evaluation(final: FinalResult, part: str) -> Evaluation | None:
    return {"train": final.train, "validation": final.validation, "test": final.test}.get(part)


def _of_evaluation(name: str, which: str, evaluation: Evaluation, places: Places) -> float | None:
    if name == MATRIX:
        return _of_matrix(which, evaluation.confusion_matrix, places)
    if which:
        place = places.of(which)
        return _number(evaluation.per_class[place], name) if place is not None and name in OF_CLASS else None
    if match := TOP.fullmatch(name):
        return _top_k(int(match[1]), evaluation)
    if name in OF_ALL:
        return _number(evaluation, name)
    return _number(evaluation.averages.macro, name) if name in RATIOS else None


def _of_matrix(which: str, counts: Sequence[Sequence[int]], places: Places) -> float | None:
    true, predicted = map(places.of, places.names(which))
    return None if true is None or predicted is None else float(counts[true][predicted])


def _top_k(k: int, evaluation: Evaluation) -> float | None:
    """Return the share whose class is among the first k: all of them where there are no more classes than k."""
    if k == 1:
        return evaluation.accuracy
    return 1.0 if k >= len(evaluation.per_class) else evaluation.top_k.get(str(k))


def _number(values: object, name: str) -> float | None:
    value: float | None = getattr(values, name, None)
    return None if value is None else float(value)
