"""From logits to an answer: calibrated probabilities, thresholds or costs, and whether the image is known at all.

NumPy alone; a bundle carries it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headstart.evaluation.unknown import Detector


@dataclass(frozen=True, slots=True, eq=False)
class Answering:
    """What turns logits into answers.

    Attributes:
        temperature: logits are divided by it before the softmax; above 0.
        detector: tells images that belong to no class; None: nothing is refused.
        thresholds: class name -> calibrated probability from which an image is called so.
        costs: (true class, answered class) -> cost of that error; others cost 1. Empty: the most probable class.
    """

    temperature: float = 1.0
    detector: Detector | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    costs: Mapping[tuple[str, str], float] = field(default_factory=dict)
