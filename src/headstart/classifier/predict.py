"""Using a classifier on files and folders. Needs the base install only: NumPy, Pillow and OpenVINO."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart import storage
from headstart.classifier import bundle
from headstart.classifier.bundle import ClassifierInfo
from headstart.data import decode
from headstart.data.listing import files_below
from headstart.errors import ImageError, UsageError
from headstart.features import graph
from headstart.features.extract import run_batches
from headstart.features.trunk import OpenVinoTrunk, Pixels
from headstart.progress import SILENT, Progress

Image = str | Path | NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ClassProbability:
    """One class with its probability in 0..1."""

    class_: str
    probability: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one image: classes from the most to the least probable, or the error that kept it from one."""

    path: str
    ranked: tuple[ClassProbability, ...]
    error: str | None

    def top(self, count: int) -> tuple[ClassProbability, ...]:
        """Return the ``count`` most probable classes."""
        return self.ranked[:count]


class Classifier:
    """A loaded classifier; make one with ``load``."""

    def __init__(self, folder: Path, info: ClassifierInfo) -> None:
        self.info = info
        model = graph.openvino_module().Core().read_model(folder / bundle.GRAPH_FILE)
        model.reshape([-1, info.input.height, info.input.width, 3])
        self._trunk = OpenVinoTrunk(model, precision=info.precision, output=graph.PROBABILITIES)

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, in the order of the probabilities."""
        return self.info.classes

    def probabilities(self, images: Sequence[Image], *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """Return the probabilities ``(images, classes)`` of files or uint8 RGB arrays ``(height, width, 3)``.

        Raises:
            ImageError: an image cannot be read; ``predict`` reports it in its row instead.
        """
        probabilities, errors = self._run(images, progress)
        for index, reason in sorted(errors.items()):
            raise ImageError(f"{_name_of(images[index])}: {reason}")
        return probabilities

    def predict(self, images: Sequence[Image], *, progress: Progress = SILENT) -> list[Prediction]:
        """Return the answer for each file or uint8 RGB array, in order; a bad file gets its reason, not a guess."""
        probabilities, errors = self._run(images, progress)
        return [
            Prediction(_name_of(image), () if index in errors else self._rank(row), errors.get(index))
            for index, (image, row) in enumerate(zip(images, probabilities, strict=True))
        ]

    def _run(self, images: Sequence[Image], progress: Progress) -> tuple[NDArray[np.float32], dict[int, str]]:
        probabilities = np.zeros((len(images), len(self.classes)), np.float32)
        errors: dict[int, str] = {}
        blank = np.zeros((self.info.input.height, self.info.input.width, 3), np.uint8)

        def load(index: int) -> Pixels:
            try:
                return decode.load(_encoded(images[index]), self.info.size)
            except (ImageError, OSError) as error:
                errors[index] = error.strerror or "cannot be read" if isinstance(error, OSError) else str(error)
                return blank

        with progress.track("Predicting", total=len(images), unit="images") as advance:
            self._run_all(len(images), load, probabilities, advance)
        return probabilities, errors

    def _run_all(
        self,
        count: int,
        load: Callable[[int], Pixels],
        probabilities: NDArray[np.float32],
        advance: Callable[[int], None],
    ) -> None:
        def run(indices: Sequence[int], pixels: Pixels) -> None:
            probabilities[list(indices)] = self._trunk.run(pixels)
            advance(len(indices))

        run_batches(range(count), load, run, batch_size=self._trunk.batch_size, workers=self._trunk.workers)

    def _rank(self, row: NDArray[np.float32]) -> tuple[ClassProbability, ...]:
        order = np.argsort(-row, kind="stable")
        return tuple(ClassProbability(self.classes[index], float(row[index])) for index in order)


def load(folder: str | Path) -> Classifier:
    """Load a classifier from its folder.

    Raises:
        ClassifierError: the folder is no classifier, is damaged, or was written by a newer headstart.
    """
    path = Path(folder)
    return Classifier(path, bundle.read_info(path))


def find_images(paths: Sequence[str | Path]) -> list[Path]:
    """Return the files among ``paths`` and all files below its folders, in order.

    Hidden files, the litter of operating systems and run folders are left out, as they are from data.

    Raises:
        UsageError: a path does not exist, or nothing is left.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            files += [file for file in files_below(path) if file.is_file()]
        elif path.is_file():
            files.append(path)
        else:
            raise UsageError(f"There is no file or folder {path}. Check the spelling.")
    if not files:
        raise UsageError(f"There are no files in {', '.join(map(str, paths))}.")
    return files


def _encoded(image: Image) -> bytes | NDArray[np.uint8]:
    return Path(image).read_bytes() if isinstance(image, str | Path) else image


def _name_of(image: Image) -> str:
    return str(image) if isinstance(image, str | Path) else "array"


def as_json(predictions: Sequence[Prediction], *, top: int | None = None) -> str:
    """Return predictions as one JSON list with the ``top`` (None: all) classes' probabilities, most probable first."""
    return storage.json_text([dataclasses.replace(one, ranked=one.ranked[:top]) for one in predictions])


def as_csv(predictions: Sequence[Prediction], classes: Sequence[str]) -> str:
    """Return predictions as CSV: path, predicted, probability, error, and ``p:<class>`` in the classifier's order."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["path", "predicted", "probability", "error", *(f"p:{name}" for name in classes)])
    for prediction in predictions:
        of_class = {one.class_: f"{one.probability:.7g}" for one in prediction.ranked}
        best = prediction.ranked[0].class_ if prediction.ranked else ""
        values = [of_class.get(name, "") for name in classes]
        writer.writerow([prediction.path, best, of_class.get(best, ""), prediction.error or "", *values])
    return stream.getvalue()
