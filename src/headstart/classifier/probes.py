"""The self-test of a classifier: does it still say of its probe pictures what it said when it was saved?

On the machine that saved it a classifier says the same again; on another one the last digits may differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.classifier.predict import Classifier
from headstart.classifier.probe_file import Probes, make
from headstart.errors import ClassifierError
from headstart.evaluation.calibration import calibrated

__all__ = ["TOLERANCES", "ProbeCheck", "Probes", "check", "make"]

TOLERANCES = {"f32": 1e-3, "bf16": 0.1}
"""Precision -> how far a calibrated probability may be from what was saved.

Measured on MobileNet: sums in another order move them by 1e-6; another resize rule, filter or channel order by 0.02 to
0.4; and bf16 against f32, which is what a CPU without bf16 computes, by 0.07.
"""


@dataclass(frozen=True, slots=True)
class ProbeCheck:
    """Whether a classifier still says what it said when it was saved.

    Attributes:
        images: how many pictures were compared.
        largest_difference: of two calibrated probabilities, 0..1.
        tolerance: how large that may be.
    """

    images: int
    largest_difference: float
    tolerance: float

    @property
    def good(self) -> bool:
        """Whether the self-test is passed; not where the classifier says NaN."""
        return self.largest_difference <= self.tolerance


def check(classifier: Classifier) -> ProbeCheck:
    """Run a classifier on its probe pictures and compare.

    Raises:
        ClassifierError: it has none, for it was saved by an older headstart.
    """
    probes = classifier.bundle.probes()
    if probes is None:
        raise ClassifierError(
            f"{classifier.bundle.path} has no probe pictures: an older headstart saved it. Save it again for a "
            "self-test; it can be used all the same."
        )
    said = calibrated(classifier.outputs(probes.images).logits, classifier.info.temperature)
    difference = float(np.abs(said - probes.probabilities).max())
    return ProbeCheck(len(probes.images), difference, TOLERANCES[classifier.info.precision])
