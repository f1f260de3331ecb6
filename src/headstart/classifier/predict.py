"""Using a classifier on images. Needs the base install only: NumPy, Pillow and OpenVINO."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence, Sized
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from headstart.classifier.answering import answer
from headstart.classifier.bundle import Bundle, ClassifierInfo, open_bundle
from headstart.classifier.prediction import (
    ONE_IMAGE,
    ClassProbability,
    Image,
    Images,
    Outputs,
    Prediction,
    is_one,
    name_of,
)
from headstart.data import decode, image_file
from headstart.errors import ImageError, UsageError
from headstart.evaluation.calibration import calibrated
from headstart.features import graph
from headstart.features.extract import in_batches
from headstart.features.trunk import OpenVinoTrunk, Pixels
from headstart.progress import SILENT, Progress

if TYPE_CHECKING:
    import openvino as ov

__all__ = ["ClassProbability", "Classifier", "Image", "Images", "Outputs", "Prediction", "load"]

T = TypeVar("T")

# To compare one image with what the detector remembers, all of that (12 MB of a MobileNet) must come from memory: eight
# images at a time cost 0.5 ms each on one core, 64 cost 0.25. Their pixels are still held eight at a time.
MANY_BATCHES, FEW_BATCHES = 8, 4
# So many turns of every thread keep the last one's from being waited for long.
TURNS = 8


class _HeadedTrunk(OpenVinoTrunk):
    """The whole network: one pass gives several outputs."""

    def outputs(self, pixels: Pixels, names: Sequence[str]) -> list[NDArray[np.float32]]:
        request = self._request()
        request.infer({graph.IMAGE: pixels}, share_inputs=True)
        return [request.get_tensor(name).data.copy() for name in names]


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """A batch's names and logits, its features if they were asked for, and reasons by the place in the batch."""

    names: Sequence[str]
    logits: NDArray[np.float32]
    features: NDArray[np.float32] | None
    errors: dict[int, str]


class Classifier:
    """A loaded classifier; make one with ``load``. It may be used from several threads at once."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.info: ClassifierInfo = bundle.info
        self.answering = bundle.answering()
        self._trunk = _HeadedTrunk(self.read_graph(), precision=self.info.precision, output=graph.LOGITS)

    def read_graph(self) -> ov.Model:
        """Return the classifier's graph, fresh from its file, for images of the network's size."""
        return self.bundle.graph()

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, in the order of the probabilities."""
        return self.info.classes

    def probabilities(self, images: Images, *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """Return calibrated probabilities ``(images, classes)``.

        Raises:
            ImageError: an image cannot be read; ``predict`` reports it in its row instead.
        """
        outputs = self._outputs(images, features=False, progress=progress)
        for index, reason in sorted(outputs.errors.items()):
            raise ImageError(f"{name_of(images[index])}: {reason}")
        return calibrated(outputs.logits, self.answering.temperature).astype(np.float32)

    def predict(self, images: Images, *, progress: Progress = SILENT) -> list[Prediction]:
        """Return the answer for each image, in order; a bad one gets its reason, not a guess.

        Args:
            images: files, the bytes of files, or uint8 RGB arrays, in a list; or one array of several images.
        """
        with progress.track("Predicting", total=_count(images), unit="images") as advance:
            return list(counted(self.stream(images), advance))

    def stream(self, images: Iterable[Image]) -> Iterator[Prediction]:
        """Yield what ``predict`` would return, in order and as it comes: memory holds a few batches only."""
        with closing(self._batches(images, self._answered, features=self.answering.needs_features)) as batches:
            for predictions in batches:
                yield from predictions

    def decode(self, image: Image, *, pixel_limit: int = decode.PIXEL_LIMIT) -> Pixels:
        """Return what the network sees of an image: uint8 RGB ``(height, width, 3)`` at its input size.

        Raises:
            ImageError: the image cannot be read, or has more pixels than the limit; the message is the reason alone.
        """
        try:
            return decode.load(image_file.encoded(image), self.info.size, pixel_limit=pixel_limit)
        except MemoryError as error:
            raise ImageError(decode.OUT_OF_MEMORY) from error

    def answer_pixels(self, pixels: Pixels, names: Sequence[str]) -> list[Prediction]:
        """Return the answers for one batch of decoded images, in the caller's thread.

        Args:
            pixels: uint8 RGB ``(images, height, width, 3)`` at the network's input size, as ``decode`` gives them.
            names: what the images are called in their rows.
        """
        shape = (len(names), self.info.input.height, self.info.input.width, 3)
        if pixels.shape != shape or pixels.dtype != np.uint8:
            raise ValueError(f"pixels must be uint8 of shape {shape}. Received: {pixels.dtype} {pixels.shape}")
        if not names:
            return []
        return self._answered(self._compute(names, pixels, {}, features=self.answering.needs_features))

    def outputs(self, images: Images, *, progress: Progress = SILENT) -> Outputs:
        """Return logits and pooled features of images, and what kept images from being read."""
        return self._outputs(images, features=True, progress=progress)

    def _outputs(self, images: Images, *, features: bool, progress: Progress) -> Outputs:
        logits, pooled, errors = [], [], dict[int, str]()
        with progress.track("Predicting", total=_count(images), unit="images") as advance:
            done = 0
            for batch in self._batches(images, lambda batch: batch, features=features):
                logits.append(batch.logits)
                pooled += [] if batch.features is None else [batch.features]
                errors |= {done + place: reason for place, reason in batch.errors.items()}
                done += len(batch.names)
                advance(len(batch.names))
        return Outputs(_joined(logits, len(self.classes)), _joined(pooled, 0), errors)

    def _batches(
        self, images: Iterable[Image], finish: Callable[[_Batch], T], *, features: bool
    ) -> Generator[T, None, None]:
        """Yield what ``finish`` makes of images, in order; several threads decode, compute and finish.

        The network runs fastest on few images, what comes after it on many: batches are finished together.
        """

        def work(together: Sequence[Image]) -> T:
            size = self._trunk.batch_size
            parts = [self._seen(together[at : at + size], features=features) for at in range(0, len(together), size)]
            return finish(_one_batch(parts))

        workers = self._trunk.workers
        return in_batches(images, work, batch_size=_together(images, self._trunk), workers=workers)

    def _seen(self, images: Sequence[Image], *, features: bool) -> _Batch:
        """Decode and compute a batch."""
        errors: dict[int, str] = {}
        pixels = np.zeros((len(images), self.info.input.height, self.info.input.width, 3), np.uint8)
        for place, image in enumerate(images):
            try:
                pixels[place] = self.decode(image)
            except ImageError as error:
                errors[place] = str(error)
        return self._compute([name_of(image) for image in images], pixels, errors, features=features)

    def _compute(self, names: Sequence[str], pixels: Pixels, errors: dict[int, str], *, features: bool) -> _Batch:
        wanted = (graph.LOGITS, graph.FEATURES) if features else (graph.LOGITS,)
        logits, *others = self._trunk.outputs(pixels, wanted)
        return _Batch(names, logits, others[0] if others else None, errors)

    def _answered(self, batch: _Batch) -> list[Prediction]:
        answers = answer(self.answering, batch.logits, batch.features, self.classes)
        scores = [None] * len(batch.names) if answers.unknown_scores is None else answers.unknown_scores.tolist()
        rows = zip(batch.names, answers.probabilities, answers.words, scores, strict=True)
        return [
            Prediction(name, None, (), None, batch.errors[place])
            if place in batch.errors
            else Prediction(name, word, self._rank(row), score, None)
            for place, (name, row, word, score) in enumerate(rows)
        ]

    def _rank(self, row: NDArray[np.float64]) -> tuple[ClassProbability, ...]:
        order = np.argsort(-row, kind="stable")
        return tuple(ClassProbability(self.classes[index], float(row[index])) for index in order)


def load(path: str | Path) -> Classifier:
    """Load a classifier from its folder or zip file.

    Raises:
        ClassifierError: it is no classifier, is damaged, or was written by a newer headstart.
    """
    return Classifier(open_bundle(path))


def counted(predictions: Iterable[Prediction], advance: Callable[[int], None]) -> Iterator[Prediction]:
    """Pass predictions on, telling of each."""
    for prediction in predictions:
        advance(1)
        yield prediction


def _together(images: Iterable[Image], trunk: OpenVinoTrunk) -> int:
    """Return how many images a thread takes at a time: whole batches, and several turns for every thread."""
    turns = len(images) // (TURNS * trunk.workers * trunk.batch_size) if isinstance(images, Sized) else FEW_BATCHES
    return trunk.batch_size * min(max(turns, 1), MANY_BATCHES)


def _one_batch(parts: Sequence[_Batch]) -> _Batch:
    if len(parts) == 1:
        return parts[0]
    starts = itertools.accumulate((len(part.names) for part in parts), initial=0)
    return _Batch(
        names=[name for part in parts for name in part.names],
        logits=np.concatenate([part.logits for part in parts]),
        features=np.concatenate([part.features for part in parts if part.features is not None])
        if parts[0].features is not None
        else None,
        errors={
            start + place: reason
            for start, part in zip(starts, parts, strict=False)
            for place, reason in part.errors.items()
        },
    )


def _count(images: Images) -> int:
    """Return how many images there are; raise UsageError where one image stands for a list of them."""
    if is_one(images):
        raise UsageError(ONE_IMAGE)
    return len(images)


def _joined(rows: Sequence[NDArray[np.float32]], columns: int) -> NDArray[np.float32]:
    return np.concatenate(rows) if rows else np.zeros((0, columns), np.float32)
