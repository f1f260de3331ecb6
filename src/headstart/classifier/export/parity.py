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

INT8_CHANGED = 0.05
INT8_COST = 0.02
INT8_TOLERANCE = 0.05
"""How far probabilities may be from the classifier's: the mean over the images of each one's largest difference.

Measured on photographs of flowers: 0.014 to 0.019 with OpenVINO, 0.038 with ONNX.
"""

INT8_RULE = (
    f"Of the measured images at most {INT8_CHANGED:.0%} (one in any case) have another most probable class, accuracy "
    f"falls by at most {INT8_COST:g} (one image in any case), and the largest difference of an image's probabilities "
    f"is at most {INT8_TOLERANCE:g} in the mean. How close it comes on the probes is stated, not judged."
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
    before, after = compared.expected.argmax(axis=1), compared.found.argmax(axis=1)
    changed = int((before != after).sum())
    difference = float(_differences(compared).max(axis=1).mean())
    accuracies = _accuracies(_places(compared.labels, known), before, after)
    problems = _int8_problems(compared, changed, difference, accuracies)
    if problems:
        raise ExportError(
            f"In int8 {' and '.join(problems)}. Nothing was written. Give --data more images, like those it will see; "
            "or export without --int8."
        )
    return Quantization(
        method=method,
        calibration_images=calibration,
        measured_images=len(before),
        accuracy_before=accuracies[0] if accuracies else None,
        accuracy_after=accuracies[1] if accuracies else None,
        agreement=1 - changed / len(before),
        mean_difference=difference,
    )


def _int8_problems(
    compared: Compared, changed: int, difference: float, accuracies: tuple[float, float, int] | None
) -> list[str]:
    """Return what is worse than ``INT8_RULE`` allows, and what it allows."""
    count, unsound = len(compared.found), int((~np.isfinite(compared.found).all(axis=1)).sum())
    problems = []
    if unsound:
        problems.append(f"{unsound:,} of {count:,} images get probabilities that are no numbers")
    if changed > max(1, INT8_CHANGED * count):
        problems.append(f"{changed:,} of {count:,} images get another answer ({INT8_CHANGED:.0%} may)")
    if accuracies and _too_dear(*accuracies):
        first, second, images = accuracies
        allowed = f"by {INT8_COST:g}" if INT8_COST * images >= 1 else f"by one of {images:,} images"
        problems.append(f"accuracy falls from {first:.4f} to {second:.4f} (it may {allowed})")
    if difference > INT8_TOLERANCE:
        problems.append(f"probabilities differ by {difference:.3f} in the mean ({INT8_TOLERANCE:g} is allowed)")
    return problems


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
