"""A classifier on disk: a folder with an OpenVINO graph, plain weight arrays and JSON. Nothing in it can run code.

classifier.json   class names, input size and rule, temperature, thresholds, costs, provenance, and the SHA-256 of every
                  other file
model.xml/.bin    graph: uint8 RGB images of any size -> logits, their softmax, features, feature map
weights.npz       every weight as a named float32 array
unknown.npz       what tells images of no class, as named arrays of floats; absent where nothing does
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from headstart import storage
from headstart.classifier.answering import Answering
from headstart.data.decode import RESIZE_VERSION, Resize
from headstart.errors import ClassifierError
from headstart.evaluation.operating import Cost, Threshold
from headstart.evaluation.unknown import Detector
from headstart.features import graph
from headstart.version import __version__

if TYPE_CHECKING:
    import openvino as ov

SCHEMA_VERSION = 1
INFO_FILE, GRAPH_FILE, GRAPH_WEIGHTS_FILE, WEIGHTS_FILE = "classifier.json", "model.xml", "model.bin", "weights.npz"
UNKNOWN_FILE = "unknown.npz"


@dataclass(frozen=True, slots=True)
class InputInfo:
    """What the graph's ``image`` becomes before the network sees it: side lengths in pixels and how they are reached.

    The fields are those of ``data.resize.Resize``; older bundles have no filter, for there was only one.
    """

    height: int
    width: int
    resize: str
    resize_version: int
    interpolation: str = "bilinear"
    antialias: bool = True

    def __post_init__(self) -> None:
        # a description that says something impossible is refused where it is read
        self.as_resize()

    def as_resize(self) -> Resize:
        """Return the same in the words of ``data``; raise ValueError where there is no such rule or filter."""
        return Resize(self.height, self.width, self.resize, self.interpolation, self.antialias)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a classifier comes from: study, data, and how it did on the sealed test images."""

    study: str
    fingerprint: str
    candidate: str
    backbone: str
    weights: str
    licence: str
    training_images: int
    test_images: int
    test_accuracy: float


@dataclass(frozen=True, slots=True)
class UnknownInfo:
    """How images of no class are told: those whose score by ``method`` is above ``threshold``."""

    method: str
    threshold: float


@dataclass(frozen=True, slots=True)
class FileInfo:
    """Checksum and size of one file of the bundle."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class ClassifierInfo:
    """The whole of ``classifier.json``.

    The last four are what ``Answering`` is made of; older bundles have none of them.
    """

    schema_version: int
    headstart_version: str
    classes: tuple[str, ...]
    input: InputInfo
    precision: str
    provenance: Provenance
    files: dict[str, FileInfo]
    temperature: float = 1.0
    unknown: UnknownInfo | None = None
    thresholds: tuple[Threshold, ...] = ()
    costs: tuple[Cost, ...] = ()

    def __post_init__(self) -> None:
        named = {one.class_ for one in self.thresholds} | {
            name for one in self.costs for name in (one.true, one.answered)
        }
        if strange := sorted(named - set(self.classes)):
            raise ValueError(f"{strange[0]!r} is none of the classes")
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature must be above 0. Received: {self.temperature}")

    @property
    def bound_files(self) -> tuple[str, ...]:
        """The names of all other files of the bundle."""
        files = (GRAPH_FILE, GRAPH_WEIGHTS_FILE, WEIGHTS_FILE)
        return (*files, UNKNOWN_FILE) if self.unknown else files

    @property
    def size(self) -> Resize:
        """The input size, the resize rule and its filter."""
        return self.input.as_resize()


def save(
    folder: Path,
    model: ov.Model,
    weights: Mapping[str, NDArray[np.float32]],
    *,
    classes: Sequence[str],
    size: Resize,
    precision: str,
    provenance: Provenance,
    answering: Answering | None = None,
) -> ClassifierInfo:
    """Write a bundle; an older bundle at ``folder`` is replaced only once the new one is whole.

    Args:
        model: a graph of ``features.graph.add_head`` that takes images of any size.
        weights: every weight under a unique name.
        answering: how logits become answers; None: the most probable class, by the softmax of the logits.
    """
    answering = answering or Answering()
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    graph.openvino_module().save_model(model, part / GRAPH_FILE, compress_to_fp16=False)
    np.savez(part / WEIGHTS_FILE, allow_pickle=False, **dict(weights))
    unknown = _save_detector(part, answering.detector) if answering.detector else None
    info = ClassifierInfo(
        schema_version=SCHEMA_VERSION,
        headstart_version=__version__,
        classes=tuple(classes),
        input=InputInfo(size.height, size.width, size.rule, RESIZE_VERSION, size.interpolation, size.antialias),
        precision=precision,
        provenance=provenance,
        files={path.name: _file_info(path) for path in sorted(part.iterdir())},
        temperature=answering.temperature,
        unknown=unknown,
        thresholds=answering.thresholds,
        costs=answering.costs,
    )
    storage.write_json(part / INFO_FILE, info)
    if folder.exists():
        shutil.rmtree(folder)
    part.rename(folder)
    return info


def _save_detector(folder: Path, detector: Detector) -> UnknownInfo:
    np.savez(folder / UNKNOWN_FILE, allow_pickle=False, **dict(detector.arrays))
    return UnknownInfo(detector.method, float(detector.threshold))


def read_answering(folder: Path, info: ClassifierInfo) -> Answering:
    """Return how logits become answers, from a bundle that ``read_info`` has checked.

    Raises:
        ClassifierError: the detector's arrays cannot be read, or are not those of its method.
    """
    detector = None
    if info.unknown:
        try:
            with np.load(folder / UNKNOWN_FILE, allow_pickle=False) as arrays:
                detector = Detector(info.unknown.method, info.unknown.threshold, dict(arrays))
        except (ValueError, OSError, BadZipFile) as error:
            raise ClassifierError(f"{folder / UNKNOWN_FILE} cannot be read: {error}") from error
    return Answering(info.temperature, detector, info.thresholds, info.costs)


def read_info(folder: Path) -> ClassifierInfo:
    """Read and check a bundle: schema, file names, sizes and checksums.

    Raises:
        ClassifierError: the folder is no classifier, is damaged, or was written by a newer headstart.
    """
    path = folder / INFO_FILE
    if not path.is_file():
        raise ClassifierError(
            f"{folder} is no classifier: it holds no {INFO_FILE}. Give the folder 'classifier' of a finished run."
        )
    try:
        plain = json.loads(path.read_text("utf-8"))
        _check_version(folder, plain["schema_version"])
        info: ClassifierInfo = storage.from_plain(ClassifierInfo, plain)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ClassifierError(f"{path} cannot be read as a classifier's description: {error}.") from error
    _check_files(folder, info)
    return info


def _check_version(folder: Path, version: object) -> None:
    if version != SCHEMA_VERSION:
        raise ClassifierError(
            f"{folder} has classifier schema {version}; this headstart reads {SCHEMA_VERSION}. "
            "Use the headstart version that wrote it, or a newer one."
        )


def _check_files(folder: Path, info: ClassifierInfo) -> None:
    if set(info.files) != set(info.bound_files):
        raise ClassifierError(f"{folder / INFO_FILE} must list exactly the files {', '.join(info.bound_files)}.")
    for name, expected in info.files.items():
        path = folder / name
        if not path.is_file() or path.is_symlink():
            raise ClassifierError(f"The classifier {folder} is incomplete: {name} is missing. Copy the whole folder.")
        if _file_info(path) != expected:
            raise ClassifierError(f"The classifier {folder} is damaged: {name} is not the file that was saved.")


def _file_info(path: Path) -> FileInfo:
    return FileInfo(storage.sha256_of(path), path.stat().st_size)
