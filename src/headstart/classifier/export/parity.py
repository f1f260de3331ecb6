"""Whether an exported file says what the classifier says.

Rule: of every picture the file gives each class a probability within the tolerance of the classifier's, and the same
class the highest one. Where the classifier's two highest probabilities are closer than the tolerance, the first
condition is the only one: which of the two is ahead is then left to the last digits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headstart.classifier.export.certificate import FormatParity, Quantization
from headstart.classifier.export.comparison import Compared
from headstart.errors import ExportError

TOLERANCE = 1e-3
"""How far a probability may be from the classifier's."""

RULE = (
    f"Of every picture each probability is within {TOLERANCE:g} of the classifier's and the most probable class is the "
    f"same; where the classifier's two highest are closer than {TOLERANCE:g}, their order does not count."
)

_NO_CLASS = -1

INT8_CHANGED = 0.05
INT8_COST = 0.02
INT8_RULE = (
    f"At most {INT8_CHANGED:.0%} of the measured images (but one in any case) have another most probable class, and "
    f"accuracy falls by at most {INT8_COST:g} (or one image). Its answers on the probes are stated, not judged."
)


def measure(compared: Compared) -> FormatParity:
    """Return how close the two came; nothing is demanded."""
    differences = _differences(compared).max(axis=1)
    changed = compared.expected.argmax(axis=1) != compared.found.argmax(axis=1)
    return FormatParity(
        images=len(compared.names),
        unreadable=compared.unreadable,
        same_answer=int((~changed).sum()),
        near_ties=int((changed & _near_ties(compared)).sum()),
        largest_difference=float(differences.max()),
        mean_difference=float(differences.mean()),
    )


def check(compared: Compared, classes: Sequence[str], engine: str) -> FormatParity:
    """Return how close the two came.

    Raises:
        ExportError: not close enough; the message names the worst picture, the class and both values.
    """
    differences = _differences(compared)
    changed = compared.expected.argmax(axis=1) != compared.found.argmax(axis=1)
    # written so that NaN is beyond the tolerance
    bad = ~(differences.max(axis=1) <= TOLERANCE) | (changed & ~_near_ties(compared))
    if bad.any():
        raise ExportError(_complaint(compared, np.where(bad, differences.max(axis=1), -1), classes, engine))
    return measure(compared)


def check_int8(compared: Compared, known: Sequence[str], *, method: str, calibration: int) -> Quantization:
    """Return what 8-bit arithmetic cost on images that are none of the ``calibration`` ones.

    Args:
        known: the classifier's classes; images with other labels do not count for accuracy.

    Raises:
        ExportError: it cost more than ``INT8_RULE`` allows.
    """
    sound = np.isfinite(compared.found).all(axis=1)
    before, after = compared.expected.argmax(axis=1), np.where(sound, compared.found.argmax(axis=1), _NO_CLASS)
    changed = int((before != after).sum())
    accuracies = _accuracies(_places(compared.labels, known), before, after)
    if changed > max(1, INT8_CHANGED * len(before)) or not sound.all() or (accuracies and _too_dear(*accuracies)):
        words = f", and accuracy falls from {accuracies[0]:.4f} to {accuracies[1]:.4f}" if accuracies else ""
        raise ExportError(
            f"In int8 {changed:,} of {len(before):,} images get another answer{words}. At most {INT8_CHANGED:.0%} of "
            f"the images and {INT8_COST:g} of accuracy are allowed. Nothing was written. Give --data more images, like "
            "those it will see; or export without --int8."
        )
    return Quantization(
        method=method,
        calibration_images=calibration,
        measured_images=len(before),
        accuracy_before=accuracies[0] if accuracies else None,
        accuracy_after=accuracies[1] if accuracies else None,
        agreement=1 - changed / len(before),
        mean_difference=float(_differences(compared).max(axis=1).mean()),
    )


def _differences(compared: Compared) -> NDArray[np.float64]:
    # a probability that is no number is as wrong as can be
    return np.nan_to_num(np.abs(compared.expected - compared.found), nan=1.0)


def _near_ties(compared: Compared) -> NDArray[np.bool_]:
    if compared.expected.shape[1] < 2:
        return np.zeros(len(compared.expected), np.bool_)
    second, first = np.sort(compared.expected, axis=1)[:, -2:].T
    near: NDArray[np.bool_] = first - second < TOLERANCE
    return near


def _places(labels: Sequence[str], known: Sequence[str]) -> NDArray[np.int64]:
    """Return the class indices of labels; -2 for labels that are no class."""
    places = {name: place for place, name in enumerate(known)}
    return np.array([places.get(label, -2) for label in labels], np.int64)


def _accuracies(
    truth: NDArray[np.int64], before: NDArray[np.intp], after: NDArray[np.intp]
) -> tuple[float, float, int] | None:
    """Return both accuracies and the number of images with a true class; None where there are none."""
    counted = truth >= 0
    if not counted.any():
        return None
    rights = ((answers == truth)[counted] for answers in (before, after))
    first, second = (float(right.mean()) for right in rights)
    return first, second, int(counted.sum())


def _too_dear(before: float, after: float, images: int) -> bool:
    """Return whether accuracy falls by more than is allowed; a millionth of an image is nothing."""
    return before - after > max(INT8_COST, 1 / images) + 1e-6 / images


def _complaint(compared: Compared, badness: NDArray[np.float64], classes: Sequence[str], engine: str) -> str:
    picture = int(badness.argmax())
    place = int(_differences(compared)[picture].argmax())
    said, found = compared.expected[picture], compared.found[picture]
    answers = classes[int(said.argmax())], classes[int(np.nan_to_num(found, nan=-1.0).argmax())]
    other = f" Its answer is {answers[1]!r} instead of {answers[0]!r}." if answers[0] != answers[1] else ""
    return (
        f"{engine} does not say what the classifier says of {compared.names[picture]}: {classes[place]!r} has "
        f"probability {found[place]:.6f} instead of {said[place]:.6f}.{other} {int((badness >= 0).sum()):,} of "
        f"{len(compared.names):,} pictures are beyond the tolerance of {TOLERANCE:g}. Nothing was written."
    )
