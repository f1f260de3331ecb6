"""What ``classifier.json`` says: frozen dataclasses, and how its text is read and checked."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any

from headstart import storage
from headstart.backbones.backbone import Preprocessing
from headstart.data.decode import Resize
from headstart.errors import ClassifierError
from headstart.evaluation.operating import Cost, Threshold
from headstart.recipe import Head
from headstart.recipe.parts import DENSE, DROPOUT
from headstart.version import __version__

SCHEMA_VERSION = 1
INFO_FILE, GRAPH_FILE, GRAPH_WEIGHTS_FILE, WEIGHTS_FILE = "classifier.json", "model.xml", "model.bin", "weights.npz"
UNKNOWN_FILE, PROBES_FILE, LEARNED_FILE, CARD_FILE = "unknown.npz", "probes.npz", "learned.bin", "README.md"
FILES = (INFO_FILE, GRAPH_FILE, GRAPH_WEIGHTS_FILE, WEIGHTS_FILE, UNKNOWN_FILE, PROBES_FILE, LEARNED_FILE, CARD_FILE)
"""Every file that a bundle can hold."""

OPTIONAL = (PROBES_FILE, LEARNED_FILE, CARD_FILE)
"""Those that older bundles lack."""

LARGEST = {
    INFO_FILE: 2**24,
    GRAPH_FILE: 2**26,
    GRAPH_WEIGHTS_FILE: 2**32,
    WEIGHTS_FILE: 2**32,
    UNKNOWN_FILE: 2**30,
    PROBES_FILE: 2**26,
    LEARNED_FILE: 2**28,
    CARD_FILE: 2**24,
}
"""Bytes that each file can have. A thousand classes with thresholds and costs fit into a description; the longest graph
of the catalogue has 0.8 MB (NASNet Large), its largest network 1.4 GB of weights; 16 million images can have been
learned from; for the arrays that tell the unknown see ``evaluation.unknown``."""

LARGEST_SIDE = 8192
PRECISIONS = ("f32", "bf16")
POOLINGS, OUTPUTS = ("average", "max", "flatten"), ("softmax", "sigmoid", "logistic")


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
        if max(self.height, self.width) > LARGEST_SIDE:
            raise ValueError(f"sides must be at most {LARGEST_SIDE}. Received: {self.height} x {self.width}")

    def as_resize(self) -> Resize:
        """Return the same in the words of ``data``; raise ValueError where there is no such rule or filter."""
        return Resize(self.height, self.width, self.resize, self.interpolation, self.antialias)


@dataclass(frozen=True, slots=True)
class BackboneInfo:
    """What is needed to build the Keras backbone whose weights are the arrays ``backbone/<path of the variable>``.

    Attributes:
        name: in the catalogue.
        image_size: side of the square input in pixels.
        preprocessing: from pixels 0..255 to the network's input; its ``channels`` are those of the input.
        cut: how much of it was trained, as in ``summary.json``: ``none``, ``all``, ``last 4`` ... No prediction
            depends on it.
    """

    name: str
    image_size: int
    preprocessing: Preprocessing
    cut: str

    def __post_init__(self) -> None:
        scale, offset = self.preprocessing.scale, self.preprocessing.offset
        numbers_fit = len(scale) == len(offset) == 3 and all(map(math.isfinite, (*scale, *offset)))
        if self.preprocessing.channel_order not in ("rgb", "bgr", "grey") or not numbers_fit:
            raise ValueError(f"there is no such preprocessing: {self.preprocessing}")


@dataclass(frozen=True, slots=True)
class HeadInfo:
    """What is needed to build the head whose weights are ``head/dense_<n>/kernel`` and ``head/dense_<n>/bias``.

    ``pooling``, ``layers`` and ``output`` are those of ``recipe.Head``, word for word.
    """

    pooling: str
    layers: tuple[str, ...]
    output: str

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS or self.output not in OUTPUTS:
            raise ValueError(f"a head has no {self.pooling!r} pooling or no {self.output!r} output")
        for text in self.layers:
            if not (DENSE.fullmatch(text) or DROPOUT.fullmatch(text)):
                raise ValueError(f"a head has no layer {text!r}")

    def as_head(self) -> Head:
        """Return the head as recipes describe it, without the penalty that only training looks at."""
        return Head(self.pooling, self.layers, self.output)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a classifier comes from: study, data, and how it did on the test images.

    Test images that were also learned from count neither in ``test_images`` nor in ``test_accuracy``, which is not a
    number where no others are left.
    """

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

    ``temperature`` to ``costs`` are what ``Answering`` is made of; older bundles have none of them. ``head`` and
    ``backbone`` are None in older bundles and in classifiers of several networks: those cannot be built again in Keras.
    ``checksum`` is ``checksum_of`` all the rest; empty in older bundles.
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
    head: HeadInfo | None = None
    backbone: BackboneInfo | None = None
    checksum: str = ""

    def __post_init__(self) -> None:
        if not self.classes or len(set(self.classes)) < len(self.classes):
            raise ValueError("classes must have different names, at least one")
        named = {one.class_ for one in self.thresholds} | {
            name for one in self.costs for name in (one.true, one.answered)
        }
        if strange := sorted(named - set(self.classes)):
            raise ValueError(f"{strange[0]!r} is none of the classes")
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature must be above 0. Received: {self.temperature}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision must be {' or '.join(PRECISIONS)}. Received: {self.precision!r}")

    @property
    def needed_files(self) -> tuple[str, ...]:
        """The names of the other files that must be there; beside them there may be ``OPTIONAL`` ones."""
        files = (GRAPH_FILE, GRAPH_WEIGHTS_FILE, WEIGHTS_FILE)
        return (*files, UNKNOWN_FILE) if self.unknown else files

    @property
    def size(self) -> Resize:
        """The input size, the resize rule and its filter."""
        return self.input.as_resize()


def read(content: bytes, place: str) -> ClassifierInfo:
    """Read the bytes of a ``classifier.json``; ``place`` is the classifier's path, for messages.

    Raises:
        ClassifierError: it is damaged, says what cannot be, or was written by a newer headstart.
    """
    where = f"{INFO_FILE} in {place}"
    try:
        plain = json.loads(content.decode("utf-8"))
        _check_version(plain, place)
        info: ClassifierInfo = storage.from_plain(ClassifierInfo, plain)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        raise ClassifierError(f"{where} cannot be read as a classifier's description: {reason}.") from error
    if info.checksum and info.checksum != checksum_of(plain):
        raise ClassifierError(
            f"The classifier {place} is damaged: {INFO_FILE} is not the file that was saved. Copy the classifier again."
        )
    _check_list(info, where)
    return info


def sealed(info: ClassifierInfo) -> ClassifierInfo:
    """Return a description with its checksum."""
    return dataclasses.replace(info, checksum=checksum_of(storage.to_plain(info)))


def checksum_of(plain: dict[str, Any]) -> str:
    """Return the hex SHA-256 of what ``classifier.json`` says, its own checksum left out, however it is laid out."""
    return storage.digest_of({key: value for key, value in plain.items() if key != "checksum"})


def _check_version(plain: dict[str, Any], place: str) -> None:
    version = plain["schema_version"]
    if version == SCHEMA_VERSION:
        return
    writer = str(plain.get("headstart_version", ""))[:40]
    mend = f"Use headstart {writer} or newer" if writer else "Use the headstart version that wrote it, or a newer one"
    raise ClassifierError(
        f"{place} has classifier schema {str(version)[:20]}; this is headstart {__version__}, which reads schema "
        f"{SCHEMA_VERSION}. {mend}."
    )


def _check_list(info: ClassifierInfo, where: str) -> None:
    allowed = {*info.needed_files, *OPTIONAL}
    if not set(info.needed_files) <= set(info.files) <= allowed:
        raise ClassifierError(
            f"{where} must list exactly the files {', '.join(info.needed_files)}, and may list {', '.join(OPTIONAL)}."
        )
    for name, file in info.files.items():
        if file.bytes > LARGEST[name]:
            raise ClassifierError(
                f"{where} says that {name} has {file.bytes:,} bytes; at most {LARGEST[name]:,} are read. "
                "No headstart has saved it."
            )
