"""Using a classifier on files and folders. Needs the base install only: NumPy, Pillow and OpenVINO."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headstart import storage
from headstart.classifier import bundle
from headstart.classifier.answering import Answers, answer
from headstart.classifier.bundle import ClassifierInfo
from headstart.data import decode
from headstart.data.listing import files_below
from headstart.errors import ImageError, UsageError
from headstart.evaluation.calibration import calibrated
from headstart.features import graph
from headstart.features.extract import run_batches
from headstart.features.trunk import OpenVinoTrunk, Pixels
from headstart.progress import SILENT, Progress

if TYPE_CHECKING:
    import openvino as ov

Image = str | Path | NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ClassProbability:
    """One class with its probability in 0..1."""

    class_: str
    probability: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is said of one image, or the error that kept it from being seen.

    Attributes:
        answer: a class name or ``answering.unknown_word``; None with an error. It follows the classifier's thresholds
            or costs, so it need not be the most probable class.
        ranked: classes from the most to the least probable, by calibrated probability.
        unknown_score: how unknown the image looks; None with an error, or where nothing tells the unknown.
    """

    path: str
    answer: str | None
    ranked: tuple[ClassProbability, ...]
    unknown_score: float | None
    error: str | None

    def top(self, count: int) -> tuple[ClassProbability, ...]:
        """Return the ``count`` most probable classes."""
        return self.ranked[:count]


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """What the network gives: ``logits`` ``(images, classes)`` and pooled ``features`` ``(images, values)``, float32.

    ``errors`` are reasons by the number of the image; its rows say nothing.
    """

    logits: NDArray[np.float32]
    features: NDArray[np.float32]
    errors: Mapping[int, str]


# Called with the numbers of the images of a batch, their logits, and their features if those were asked for.
Taker = Callable[[Sequence[int], NDArray[np.float32], NDArray[np.float32] | None], None]


class _HeadedTrunk(OpenVinoTrunk):
    """The whole network: one pass gives several outputs."""

    def outputs(self, pixels: Pixels, names: Sequence[str]) -> list[NDArray[np.float32]]:
        request = self._request()
        request.infer({graph.IMAGE: pixels}, share_inputs=True)
        return [request.get_tensor(name).data.copy() for name in names]


class Classifier:
    """A loaded classifier; make one with ``load``."""

    def __init__(self, folder: Path, info: ClassifierInfo) -> None:
        self.info = info
        self.answering = bundle.read_answering(folder, info)
        self._folder = folder
        self._trunk = _HeadedTrunk(self.read_graph(), precision=info.precision, output=graph.LOGITS)

    def read_graph(self) -> ov.Model:
        """Return the classifier's graph, fresh from its file, for images of the network's size."""
        model = graph.openvino_module().Core().read_model(self._folder / bundle.GRAPH_FILE)
        model.reshape([-1, self.info.input.height, self.info.input.width, 3])
        return model

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, in the order of the probabilities."""
        return self.info.classes

    def probabilities(self, images: Sequence[Image], *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """Return calibrated probabilities ``(images, classes)`` of files or uint8 RGB arrays ``(height, width, 3)``.

        Raises:
            ImageError: an image cannot be read; ``predict`` reports it in its row instead.
        """
        probabilities = np.zeros((len(images), len(self.classes)), np.float32)

        def take(indices: Sequence[int], logits: NDArray[np.float32], features: NDArray[np.float32] | None) -> None:
            probabilities[list(indices)] = calibrated(logits, self.answering.temperature)

        errors = self._run(images, take, features=False, progress=progress)
        for index, reason in sorted(errors.items()):
            raise ImageError(f"{_name_of(images[index])}: {reason}")
        return probabilities

    def predict(self, images: Sequence[Image], *, progress: Progress = SILENT) -> list[Prediction]:
        """Return the answer for each file or uint8 RGB array, in order; a bad file gets its reason, not a guess."""
        found: dict[int, Prediction] = {}

        def take(indices: Sequence[int], logits: NDArray[np.float32], features: NDArray[np.float32] | None) -> None:
            answers = answer(self.answering, logits, features, self.classes)
            names = [_name_of(images[index]) for index in indices]
            found.update(zip(indices, self._predictions(names, answers), strict=True))

        errors = self._run(images, take, features=self.answering.needs_features, progress=progress)
        for index, reason in errors.items():
            found[index] = Prediction(_name_of(images[index]), None, (), None, reason)
        return [found[index] for index in range(len(images))]

    def outputs(self, images: Sequence[Image], *, progress: Progress = SILENT) -> Outputs:
        """Return logits and pooled features of files or uint8 RGB arrays, and what kept images from being read."""
        logits = np.zeros((len(images), len(self.classes)), np.float32)
        features: list[NDArray[np.float32] | None] = [None] * len(images)

        def take(indices: Sequence[int], of_batch: NDArray[np.float32], pooled: NDArray[np.float32] | None) -> None:
            logits[list(indices)] = of_batch
            assert pooled is not None, "features are asked for"
            for index, row in zip(indices, pooled, strict=True):
                features[index] = row

        errors = self._run(images, take, features=True, progress=progress)
        rows = [row for row in features if row is not None]
        return Outputs(logits, np.stack(rows) if rows else np.zeros((0, 0), np.float32), errors)

    def _run(self, images: Sequence[Image], take: Taker, *, features: bool, progress: Progress) -> dict[int, str]:
        """Hand logits (and features) to ``take``, batch by batch and from several threads; return what went wrong."""
        errors: dict[int, str] = {}
        blank = np.zeros((self.info.input.height, self.info.input.width, 3), np.uint8)
        names = (graph.LOGITS, graph.FEATURES) if features else (graph.LOGITS,)

        def load(index: int) -> Pixels:
            try:
                return decode.load(_encoded(images[index]), self.info.size)
            except (ImageError, OSError) as error:
                errors[index] = error.strerror or "cannot be read" if isinstance(error, OSError) else str(error)
                return blank

        with progress.track("Predicting", total=len(images), unit="images") as advance:

            def run(indices: Sequence[int], pixels: Pixels) -> None:
                logits, *others = self._trunk.outputs(pixels, names)
                take(indices, logits, others[0] if others else None)
                advance(len(indices))

            trunk = self._trunk
            run_batches(range(len(images)), load, run, batch_size=trunk.batch_size, workers=trunk.workers)
        return errors

    def _predictions(self, names: Sequence[str], answers: Answers) -> Iterator[Prediction]:
        scores = [None] * len(names) if answers.unknown_scores is None else answers.unknown_scores.tolist()
        for name, row, word, score in zip(names, answers.probabilities, answers.words, scores, strict=True):
            yield Prediction(name, word, self._rank(row), score, None)

    def _rank(self, row: NDArray[np.float64]) -> tuple[ClassProbability, ...]:
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
    """Return predictions as CSV.

    Columns: path; predicted (the most probable class) and its probability; answer; unknown_score (empty where nothing
    tells the unknown); error; and ``p:<class>`` in the classifier's order.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    columns = ("path", "predicted", "probability", "answer", "unknown_score", "error")
    writer.writerow([*columns, *(f"p:{name}" for name in classes)])
    for prediction in predictions:
        of_class = {one.class_: f"{one.probability:.7g}" for one in prediction.ranked}
        best = prediction.ranked[0].class_ if prediction.ranked else ""
        score = "" if prediction.unknown_score is None else f"{prediction.unknown_score:.7g}"
        said = (prediction.answer or "", score, prediction.error or "")
        writer.writerow([prediction.path, best, of_class.get(best, ""), *said, *(of_class.get(n, "") for n in classes)])
    return stream.getvalue()
