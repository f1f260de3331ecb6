"""The best candidate's temperature: fitted on images it did not learn from, judged on the test images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.evaluation.calibration import FEWEST_TO_FIT, calibrated, calibration_scores, fit_temperature
from headstart.evaluation.evidence import Calibration
from headstart.study.case import Case
from headstart.study.parts import Rows

Logits = NDArray[np.float64]


def calibration(case: Case) -> Calibration:
    """Fit a temperature on the best candidate's validation logits; say what it does to the test images.

    Below 100 of those it stays 1.
    """
    labels, logits = unseen_logits(case)
    temperature = fit_temperature(logits, labels) if len(labels) >= FEWEST_TO_FIT else 1.0
    test = case.test_of(case.kept)
    return Calibration(
        candidate=case.kept,
        temperature=temperature,
        fitted_on="out_of_fold" if case.plan.splits.kind == "folds" else "validation",
        images=len(labels),
        before=calibration_scores(test.labels, calibrated(test.logits, 1.0)),
        after=calibration_scores(test.labels, calibrated(test.logits, temperature)),
    )


def unseen_logits(case: Case) -> tuple[Rows, Logits]:
    """Return labels ``(images,)`` and logits ``(images, classes)`` of every image that validated the best candidate.

    Each image stands there once, as the model of its first round sees it; means over repeats would be surer than any
    one model. The logits are of the size that the final model gives.
    """
    rounds, judged = case.parts.rounds, case.judged_of(case.kept)
    rows = np.concatenate([one.validation for one in rounds])
    said = [fit.validation_logits for fit in judged.fits if fit.validation_logits is not None]
    sized = [logits.astype(np.float64) * size for logits, size in zip(said, _sizes(case), strict=True)]
    unique, firsts = np.unique(rows, return_index=True)
    return case.parts.labels[unique], np.concatenate(sized)[firsts]


def _sizes(case: Case) -> Iterator[float]:
    """Yield the factor that brings each round's logits to the final model's size.

    Models of one candidate that train long end with logits of very unlike sizes (a late jump of the optimiser doubles
    them), and the temperature that a model needs is in proportion to it. The size of each is taken on the images it
    learned from. For a head trained 200 epochs too long on MobileNet's features of flower_photos that halves what is
    left of the calibration error; elsewhere it changes nothing. A network whose backbone trained is left as it is: to
    run each round's over its training images would take as long as an epoch.
    """
    judged, learner = case.judged_of(case.kept), case.learner_of(case.kept)
    rounds = case.parts.rounds
    if learner.features(case.parts.train[:1]) is None:
        yield from (1.0 for _ in rounds)
        return
    final = _spread(learner.logits(judged.candidate, case.final_of(case.kept).fit, case.parts.train))
    for one, fit in zip(rounds, judged.fits, strict=True):
        spread = _spread(learner.logits(judged.candidate, fit, one.train))
        yield final / spread if spread > 0 else 1.0


def _spread(logits: NDArray[Any]) -> float:
    """Return the root mean square of logits around each image's mean."""
    values = logits.astype(np.float64)
    return float(np.sqrt(np.mean((values - values.mean(axis=1, keepdims=True)) ** 2)))
