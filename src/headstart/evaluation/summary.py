"""The whole of ``summary.json`` as one frozen dataclass, key for key.

``storage.to_plain`` writes it (a field ``class_`` becomes the key ``class``), ``storage.from_plain`` reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from headstart.evaluation.evidence import (
    Baseline,
    Calibration,
    Changes,
    CleanTest,
    Combination,
    ExpectedTest,
    Friedman,
    LabelDoubts,
    LeakEffect,
    LearningCurve,
    Operating,
    Optimism,
    Overfitting,
    Unknown,
)
from headstart.evaluation.results import (
    CandidateResult,
    Comparison,
    DatasetSummary,
    Evaluation,
    FinalResult,
    ProtocolSummary,
    Published,
)

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Summary:
    """A finished study. What was not measured is None or empty.

    ``best`` did best in validation, ``recommended`` is the one to take, whose classifier was kept: a candidate, or a
    combination where combinations were asked for. ``verdict`` says who is best and how sure that is, ``recommendation``
    which one to take and why. ``estimands`` says what each kind of interval is about. ``test`` is of all test images;
    where some of them are also training images, ``clean`` has every finalist without them, the best first.
    """

    dataset: DatasetSummary
    protocol: ProtocolSummary
    candidates: tuple[CandidateResult, ...]
    best: str
    recommended: str
    finals: tuple[FinalResult, ...]
    test: Evaluation
    verdict: str
    recommendation: str = ""
    comparison: tuple[Comparison, ...] = ()
    published: tuple[Published, ...] = ()
    estimands: dict[str, str] = field(default_factory=dict)
    clean: tuple[CleanTest, ...] = ()
    expected_test: ExpectedTest | None = None
    baseline: Baseline | None = None
    friedman: Friedman | None = None
    calibration: Calibration | None = None
    unknown: Unknown | None = None
    operating: Operating | None = None
    leak_effect: LeakEffect | None = None
    optimism: Optimism | None = None
    learning_curve: LearningCurve | None = None
    overfitting: tuple[Overfitting, ...] = ()
    combinations: tuple[Combination, ...] = ()
    label_doubts: LabelDoubts | None = None
    changes: Changes | None = None
    schema_version: int = field(default=SCHEMA_VERSION)
