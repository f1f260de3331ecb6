"""One image explained: a PNG of the photograph with the heat on it, and the same in words and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart import storage
from headstart.classifier.explain import Explainer
from headstart.classifier.heat import agreement, is_ours, normalised, overlay, placed, png, side_by_side, where
from headstart.classifier.predict import Classifier, Prediction, load
from headstart.data import decode, image_file
from headstart.data.decode import Resize
from headstart.errors import ImageError, UsageError, did_you_mean
from headstart.progress import SILENT, Progress

GRAD_CAM, OCCLUSION, BOTH = "grad-cam", "occlusion", "both"
METHODS = (GRAD_CAM, OCCLUSION, BOTH)

# Longest side of the photograph in the PNG, in pixels: larger ones are scaled down, small ones enlarged.
LARGEST, SMALLEST = 1000, 240
# From which rank correlation on two maps are said to agree, and to agree in part.
AGREE, AGREE_IN_PART = 0.5, 0.2
# A drop of the probability below which covering parts of the image says little.
NOTABLE_DROP = 0.01

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Look:
    """What one method says of an image.

    Attributes:
        method: ``grad-cam`` or ``occlusion``.
        rows: of the map, which has so many ``columns``.
        where: one sentence.
        largest_drop: of the class' probability when a square covers a part of the image; None for Grad-CAM.
    """

    method: str
    rows: int
    columns: int
    where: str
    largest_drop: float | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What ``explain`` found.

    Attributes:
        answer: what the classifier says of the image.
        probability: of the answer, calibrated; None where the answer is no class (unknown).
        class_: the class that is explained, with its own calibrated probability.
        looks: one for each method.
        agreement: rank correlation of the two maps in -1..1, values below 0 taken as 0; None with one map, or where
            one is the same everywhere.
        out: the PNG.
    """

    image: Path
    answer: str
    probability: float | None
    class_: str
    class_probability: float
    method: str
    looks: tuple[Look, ...]
    agreement: float | None
    out: Path


@dataclass(frozen=True, slots=True, eq=False)
class _Map:
    """A map as the method gave it, and in 0..1 on the photograph as it is shown."""

    method: str
    values: NDArray[np.float32]
    heat: NDArray[np.float32]


def explain(
    classifier: Path,
    image: Path,
    out: Path,
    *,
    class_: str | None = None,
    method: str = BOTH,
    progress: Progress = SILENT,
) -> Explanation:
    """Write a PNG: an image, and beside it the same with the heat of each method on it.

    The image is upright by its EXIF orientation. One with a side above 1000 pixels is scaled down; one below 240 pixels
    is enlarged by a whole number.

    Args:
        classifier: its folder.
        class_: the class to explain; None: the answer, or the most probable class where the answer is none.
        method: ``grad-cam``, ``occlusion`` or ``both``.

    Raises:
        UsageError: there is no such class, method or file, or ``out`` is no place for a PNG, or holds another file.
        ImageError: the image cannot be read.
        ClassifierError: the classifier cannot be used, or Grad-CAM cannot look into it.
    """
    _check(image, out, method)
    photograph, loaded = _read(image), load(classifier)
    [prediction] = loaded.predict([photograph])
    chosen = _class_to_explain(class_, prediction, loaded.classes)
    shown = _shown(photograph)
    maps = _maps(loaded, photograph, shown, class_=loaded.classes.index(chosen), method=method, progress=progress)
    storage.write_bytes(out, png(side_by_side([shown, *(overlay(shown, one.heat) for one in maps)])))
    probabilities = {one.class_: one.probability for one in prediction.ranked}
    return Explanation(
        image=image,
        answer=prediction.answer or "",
        probability=probabilities.get(prediction.answer or ""),
        class_=chosen,
        class_probability=probabilities[chosen],
        method=method,
        looks=tuple(map(_look, maps)),
        agreement=agreement(*(np.maximum(one.values, 0) for one in maps)) if method == BOTH else None,
        out=out,
    )


def _check(image: Path, out: Path, method: str) -> None:
    """Raise UsageError where something is wrong that can be known before any work."""
    if method not in METHODS:
        hint = did_you_mean(method, METHODS)
        raise UsageError(f"--method must be one of {', '.join(METHODS)}. Received: {method!r}.{hint}")
    if not image.is_file():
        what = f"{image} is no file" if image.exists() else f"There is no image {image}"
        raise UsageError(f"{what}. Give one image, such as photo.jpg.")
    if out.suffix.lower() != ".png":
        raise UsageError(f"--out must be the name of a PNG file, such as {out.stem or 'heat'}.png. Received: {out}.")
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder. Give the name of a PNG file.")
    if not out.parent.is_dir():
        raise UsageError(f"There is no folder {out.parent} for --out {out.name}. Make it first, or choose another.")
    if out.exists() and out.samefile(image):
        raise UsageError(f"--out {out} is the image itself, which is never overwritten. Choose another name.")
    if out.exists() and not is_ours(out):
        raise UsageError(f"{out} is there already and is no picture of headstart explain. Choose another --out.")


def _read(image: Path) -> Pixels:
    try:
        return decode.pixels(image_file.encoded(image))
    except ImageError as error:
        raise ImageError(f"{image}: {error}") from error


def _class_to_explain(wanted: str | None, prediction: Prediction, classes: Sequence[str]) -> str:
    if wanted is None:
        answer = prediction.answer or ""
        return answer if answer in classes else prediction.ranked[0].class_
    if wanted not in classes:
        shown = ", ".join(classes[:20]) + (", ..." if len(classes) > 20 else "")
        hint = did_you_mean(wanted, classes)
        raise UsageError(f"The classifier knows no class {wanted!r}.{hint} Its classes are: {shown}.")
    return wanted


def _shown(photograph: Pixels) -> Pixels:
    """Return a photograph at the size at which it is drawn."""
    height, width = photograph.shape[:2]
    longest = max(height, width)
    if longest < SMALLEST:
        times = -(-SMALLEST // longest)
        return photograph.repeat(times, axis=0).repeat(times, axis=1)
    if longest <= LARGEST:
        return photograph
    return decode.load(photograph, Resize.whole(height, width, longest=LARGEST))


def _maps(
    classifier: Classifier, photograph: Pixels, shown: Pixels, *, class_: int, method: str, progress: Progress
) -> list[_Map]:
    explainer, found = Explainer(classifier), list[tuple[str, NDArray[np.float32]]]()
    if method != OCCLUSION:
        found.append((GRAD_CAM, explainer.grad_cam([photograph], [class_])[0]))
    if method != GRAD_CAM:
        found.append((OCCLUSION, explainer.occlusion(photograph, class_, progress=progress)))
    height, width = shown.shape[:2]
    size = classifier.info.size
    return [_Map(name, values, placed(normalised(values), height, width, size)) for name, values in found]


def _look(one: _Map) -> Look:
    rows, columns = one.values.shape
    drop = max(float(one.values.max()), 0.0) if one.method == OCCLUSION else None
    return Look(one.method, rows, columns, where(one.heat), drop)


def in_words(found: Explanation) -> str:
    """Return an explanation as a few lines for people."""
    lines = [f"Answer:     {found.answer}{_percent(found.probability)}"]
    if found.class_ != found.answer:
        lines.append(f"Explained:  {found.class_}{_percent(found.class_probability)}")
    lines += [f"{_title(look.method) + ':':<12}{_say(look)}" for look in found.looks]
    if found.method == BOTH:
        lines.append(f"Check:      {_say_agreement(found.agreement)}")
    return "\n".join([*lines, f"Written:    {found.out}"])


def _percent(probability: float | None) -> str:
    return "" if probability is None else f" ({probability:.1%})"


def _title(method: str) -> str:
    return "Grad-CAM" if method == GRAD_CAM else "Occlusion"


def _say(look: Look) -> str:
    if look.rows * look.columns == 1 and look.method == GRAD_CAM:
        return "The network's last feature map has one place only, so it cannot say where. See --method occlusion."
    if look.largest_drop is None:
        return look.where
    if look.largest_drop < NOTABLE_DROP:
        return f"{look.where} But covering any one part lowers the probability by less than 1 point."
    return f"{look.where} Covering the hottest place lowers the probability by {100 * look.largest_drop:.0f} points."


def _say_agreement(value: float | None) -> str:
    if value is None:
        return "The two maps cannot be compared: one of them is the same everywhere."
    if value >= AGREE:
        said = "The two maps agree"
    else:
        said = (
            "The two maps agree in part" if value >= AGREE_IN_PART else "The two maps do not agree, so lean on neither"
        )
    return f"{said}: {value:.2f} (rank correlation: 1 the same order of places, 0 no relation)."
