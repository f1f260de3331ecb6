"""What is found out after the test set was opened, and what of it travels in the classifier."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import TypeVar

from headstart.classifier import predict
from headstart.classifier.answering import Answering
from headstart.evaluation.evidence import Evidence, Optimism, Unknown
from headstart.evaluation.unknown import Detector
from headstart.study.attempt import attempt
from headstart.study.calibration import calibration
from headstart.study.case import Case
from headstart.study.changes import changes
from headstart.study.combinations import combinations
from headstart.study.doubts import find_doubts
from headstart.study.leaks import leak_effect
from headstart.study.learning_curve import learning_curve
from headstart.study.nested import nested
from headstart.study.operating import operating, thresholds_and_costs
from headstart.study.optimism import overfitting, with_nested
from headstart.study.outliers import with_outliers
from headstart.study.unknown import find_unknown, judge_folder, say_unreadable

Found = TypeVar("Found")


def gather(case: Case, flattery: Optimism, *, informative: bool = True) -> tuple[Evidence, Answering]:
    """Return the evidence of a study, and what the classifier that is kept answers by.

    What cannot be measured is said and left out. Doubts and outliers are written into the run folder on the way.

    Args:
        flattery: how much the choice flatters the best one.
        informative: whether the best one tells the classes apart; else no combination is worth taking either.
    """
    inner = _measured(case, "nested cross-validation", lambda: nested(case))
    calibrated = _measured(case, "calibration", lambda: calibration(case))
    temperature = calibrated.temperature if calibrated else 1.0
    known, detector = _measured(case, "unknown images", lambda: find_unknown(case)) or (None, None)
    doubts, rows = _measured(case, "label doubts", lambda: find_doubts(case)) or (None, ())
    case.place.folder.write_doubts(rows)
    case.place.folder.write_audit(_measured(case, "outliers", lambda: with_outliers(case)) or case.plan.audit)
    evidence = Evidence(
        calibration=calibrated,
        unknown=known,
        operating=_measured(case, "operating point", lambda: operating(case, temperature)),
        leak_effect=leak_effect(case.clean[0] if case.clean else None, case.result_of(case.best).test.accuracy),
        optimism=with_nested(flattery, inner),
        learning_curve=_measured(case, "learning curve", lambda: learning_curve(case)),
        overfitting=_measured(case, "overfitting", lambda: overfitting(case)) or (),
        combinations=_measured(case, "combinations", lambda: combinations(case, informative=informative)) or (),
        label_doubts=doubts,
        changes=_measured(case, "changes", lambda: changes(case)),
    )
    rule = _measured(case, "thresholds", lambda: thresholds_and_costs(case, temperature))
    if rule is None:
        case.place.progress.say(
            "The classifier answers the most probable class: targets and costs do not travel in it."
        )
    thresholds, costs = rule or ((), ())
    return evidence, Answering(temperature, detector, thresholds, costs)


def _measured(case: Case, part: str, measure: Callable[[], Found]) -> Found | None:
    """Return what was measured and log its seconds; None, and the reason said, where it failed."""
    start = time.perf_counter()
    reason, found = attempt(measure)
    if reason:
        case.place.progress.say(f"The {part} could not be measured: {reason}")
    case.place.folder.log("evidence", part=part, seconds=round(time.perf_counter() - start, 3), failed=reason)
    return found


def with_unknown_folder(case: Case, evidence: Evidence, answering: Answering) -> Evidence:
    """Return the evidence with the saved classifier's answers to the images of ``--unknown``, where there are any."""
    known, detector = evidence.unknown, answering.detector
    if not case.plan.unknown_images or known is None or detector is None:
        return evidence
    judged = _measured(case, "folder of unknown images", lambda: _judged_on_folder(case, known, detector))
    return dataclasses.replace(evidence, unknown=judged or known)


def _judged_on_folder(case: Case, known: Unknown, detector: Detector) -> Unknown:
    files, progress = case.plan.unknown_images, case.place.progress
    outputs = predict.load(case.place.folder.classifier).outputs(files, progress=progress)
    say_unreadable(files, outputs.errors, progress)
    return judge_folder(known, detector, outputs, case)
