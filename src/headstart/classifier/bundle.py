"""A classifier on disk: an OpenVINO graph, plain weight arrays and JSON, in a folder or in one zip file.

Nothing in it can run code.

classifier.json   class names, input size and rule, temperature, thresholds, costs, head, backbone, provenance, and the
                  SHA-256 of every other file
model.xml/.bin    graph: uint8 RGB images of any size -> logits, their softmax, features, feature map
weights.npz       every weight as a named float32 array
unknown.npz       what tells images of no class, as named arrays of floats; absent where nothing does
probes.npz        generated pictures and what was said of them, for the self-test; absent from older bundles
learned.bin       a hash of every image that was learned from, 16 bytes each; absent from older bundles
README.md         the model card; absent from older bundles
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart import storage
from headstart.classifier import archive, card, placement, probe_file
from headstart.classifier import info as description
from headstart.classifier.answering import Answering
from headstart.classifier.archive import Files
from headstart.classifier.card import CardFacts
from headstart.classifier.info import (
    CARD_FILE,
    FILES,
    GRAPH_FILE,
    GRAPH_WEIGHTS_FILE,
    INFO_FILE,
    LARGEST,
    LEARNED_FILE,
    PROBES_FILE,
    SCHEMA_VERSION,
    UNKNOWN_FILE,
    WEIGHTS_FILE,
    BackboneInfo,
    ClassifierInfo,
    FileInfo,
    HeadInfo,
    InputInfo,
    Provenance,
    UnknownInfo,
)
from headstart.classifier.probe_file import Probes
from headstart.data.decode import RESIZE_VERSION, Resize
from headstart.errors import ClassifierError
from headstart.evaluation.unknown import Detector
from headstart.features import graph
from headstart.recipe import Head
from headstart.version import __version__

if TYPE_CHECKING:
    import openvino as ov

__all__ = [
    "FILES", "GRAPH_FILE", "GRAPH_WEIGHTS_FILE", "HASH_BYTES", "INFO_FILE", "LEARNED_FILE", "SCHEMA_VERSION",
    "UNKNOWN_FILE", "WEIGHTS_FILE", "BackboneInfo", "Bundle", "ClassifierInfo", "FileInfo", "HeadInfo", "InputInfo",
    "Provenance", "UnknownInfo",
    "open_bundle", "pack", "read_info", "save",
]  # fmt: skip

HASH_BYTES = 16
"""Of the SHA-256 of an image: among a billion others none begins alike."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A classifier's files, checked when it was opened and again whenever one is read.

    Attributes:
        path: of the folder or zip file.
    """

    path: Path
    info: ClassifierInfo
    _files: Files

    def read(self, name: str) -> bytes:
        """Return a file of the bundle.

        Raises:
            ClassifierError: the bundle has no such file, or it is not the one that was saved.
        """
        if name not in self.info.files:
            raise ClassifierError(f"The classifier {self.path} has no {name}.")
        expected = self.info.files[name]
        return self._files.read(name, expected.bytes, sha256=expected.sha256)

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Return every weight by its name: ``backbone/<path in Keras>``, ``head/dense_<n>/kernel``, ..."""
        return self._arrays(WEIGHTS_FILE)

    @property
    def has_probes(self) -> bool:
        """Whether there are pictures for the self-test."""
        return PROBES_FILE in self.info.files

    def probes(self) -> Probes | None:
        """Return the pictures of the self-test and the answers to expect; None in bundles of older versions."""
        if not self.has_probes:
            return None
        return probe_file.from_bytes(self.read(PROBES_FILE), len(self.info.classes), self._name(PROBES_FILE))

    def learned(self) -> frozenset[str] | None:
        """Return the first ``HASH_BYTES`` of the SHA-256 (``ImageRow.sha256``), in hex, of the images learned from.

        They are those that trained the classifier and those whose labels chose it; None where that was not kept.
        """
        if LEARNED_FILE not in self.info.files:
            return None
        content = self.read(LEARNED_FILE)
        starts = range(0, len(content), HASH_BYTES)
        return frozenset(content[start : start + HASH_BYTES].hex() for start in starts)

    def answering(self) -> Answering:
        """Return how logits become answers.

        Raises:
            ClassifierError: the detector's arrays cannot be read, or are not those of its method.
        """
        info, detector = self.info, None
        if info.unknown:
            arrays = self._arrays(UNKNOWN_FILE)
            try:
                detector = Detector(info.unknown.method, info.unknown.threshold, arrays)
            except ValueError as error:
                raise ClassifierError(f"{self._name(UNKNOWN_FILE)} cannot be read: {error}") from error
        return Answering(info.temperature, detector, info.thresholds, info.costs)

    def graph(self, *, any_size: bool = False) -> ov.Model:
        """Return the classifier's graph, for images of the network's size or of ``any_size``.

        Raises:
            ClassifierError: OpenVINO cannot read it, or it is not a graph of this classifier.
        """
        content = self.read(GRAPH_FILE)
        # other formats that OpenVINO would recognise can name further files to be read
        if not content.startswith(b"<?xml"):
            raise ClassifierError(f"{self._name(GRAPH_FILE)} is no graph of OpenVINO.")
        try:
            model = _read_model(content, self.read(GRAPH_WEIGHTS_FILE))
            columns = model.output(graph.LOGITS).get_partial_shape()[1]
            if not any_size:
                model.reshape({graph.IMAGE: [-1, self.info.input.height, self.info.input.width, 3]})
        except RuntimeError as error:
            raise ClassifierError(f"{self._name(GRAPH_FILE)} {_unreadable(error)}") from error
        if columns != len(self.info.classes):
            raise ClassifierError(f"{self._name(GRAPH_FILE)} is of {columns} classes, not {len(self.info.classes)}.")
        return model

    def _arrays(self, name: str) -> dict[str, NDArray[Any]]:
        content = self.read(name)
        # they are saved as they are, so they are no larger than their file
        return archive.read_arrays(content, self._name(name), most_bytes=len(content))

    def _name(self, name: str) -> str:
        return f"{name} in {self.path}"


def _read_model(content: bytes, weights: bytes) -> ov.Model:
    # not from the file itself: it may be inside a zip file, and OpenVINO would keep it open
    return graph.openvino_module().Core().read_model(model=content, weights=weights)


def _unreadable(error: RuntimeError) -> str:
    """Say why OpenVINO cannot read a graph: the last line of its error, which says most."""
    reason = (str(error).strip().splitlines() or ["no reason is given"])[-1].strip(" .")
    version = graph.openvino_module().__version__.partition("-")[0]
    return (
        f"cannot be read with OpenVINO {version}: {reason}. If it was made with a newer one: "
        "pip install --upgrade openvino"
    )


def open_bundle(path: str | Path) -> Bundle:
    """Open a classifier's folder or zip file: check its schema, names, sizes and checksums. Nothing is unpacked.

    Raises:
        ClassifierError: it is no classifier, is damaged, or was written by a newer headstart.
    """
    place = Path(path)
    files = archive.open_files(place, FILES)
    size = files.size(INFO_FILE)
    if size is None:
        raise ClassifierError(
            f"{place} is no classifier: it holds no {INFO_FILE}. Give the folder 'classifier' of a finished run, or a "
            "zip file of what is in it."
        )
    if size > LARGEST[INFO_FILE]:
        raise ClassifierError(f"{INFO_FILE} in {place} has {size:,} bytes; at most {LARGEST[INFO_FILE]:,} are read.")
    info = description.read(files.read(INFO_FILE, size), str(place))
    for name, expected in info.files.items():
        files.check(name, expected.bytes, sha256=expected.sha256)
    return Bundle(place, info, files)


def read_info(path: str | Path) -> ClassifierInfo:
    """Return what ``classifier.json`` says, of a bundle that is checked as ``open_bundle`` does."""
    return open_bundle(path).info


def pack(folder: Path, file: Path) -> Path:
    """Write the bundle in ``folder`` as one zip file, which appears once it is whole; return its path.

    Equal bundles give equal bytes. What else lies in the folder is left out.

    Raises:
        ClassifierError: the folder is no classifier, or is damaged.
    """
    names = (INFO_FILE, *open_bundle(folder).info.files)
    with storage.atomic_file(file) as stream:
        archive.pack(names, folder, stream)
    return file


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
    head: Head | None = None,
    backbone: BackboneInfo | None = None,
    learned: Collection[str] | None = None,
    facts: CardFacts | None = None,
) -> ClassifierInfo:
    """Write a bundle; an older bundle at ``folder`` is replaced only once the new one is whole. Nothing else ever is.

    Args:
        folder: a new one, an empty one, or one with an older bundle and nothing else in it.
        model: a graph of ``features.graph.add_head`` that takes images of any size.
        weights: every weight under a unique name.
        answering: how logits become answers; None: the most probable class, by the softmax of the logits.
        head, backbone: what Keras needs to build the network again; None where one head on one backbone is not all.
        learned: ``ImageRow.sha256`` of the images that trained or chose it; None: that is not kept.
        facts: for the model card; None: no card.

    Raises:
        UsageError: there is something else at ``folder``.
    """
    answering = answering or Answering()
    with placement.new_folder(folder) as part:
        _write_network(part, model, weights)
        written = _read_model(*((part / name).read_bytes() for name in (GRAPH_FILE, GRAPH_WEIGHTS_FILE)))
        probes = probe_file.measure(written, size, precision=precision, temperature=answering.temperature)
        (part / PROBES_FILE).write_bytes(probe_file.to_bytes(probes))
        if learned is not None:
            _write_learned(part, learned)
        info = ClassifierInfo(
            schema_version=SCHEMA_VERSION,
            headstart_version=__version__,
            classes=tuple(classes),
            input=InputInfo(size.height, size.width, size.rule, RESIZE_VERSION, size.interpolation, size.antialias),
            precision=precision,
            provenance=provenance,
            files={},
            temperature=answering.temperature,
            unknown=_write_detector(part, answering.detector) if answering.detector else None,
            thresholds=answering.thresholds,
            costs=answering.costs,
            head=HeadInfo(head.pooling, head.layers, head.output) if head else None,
            backbone=backbone,
        )
        files = {path.name: _file_info(path) for path in sorted(part.iterdir())}
        if facts:
            (part / CARD_FILE).write_bytes(card.text(dataclasses.replace(info, files=files), facts).encode())
            files = {CARD_FILE: _file_info(part / CARD_FILE), **files}
        info = description.sealed(dataclasses.replace(info, files=files))
        storage.write_json(part / INFO_FILE, info)
    return info


def _write_network(folder: Path, model: ov.Model, weights: Mapping[str, NDArray[np.float32]]) -> None:
    graph.openvino_module().save_model(model, folder / GRAPH_FILE, compress_to_fp16=False)
    np.savez(folder / WEIGHTS_FILE, allow_pickle=False, **dict(weights))


def _write_detector(folder: Path, detector: Detector) -> UnknownInfo:
    np.savez(folder / UNKNOWN_FILE, allow_pickle=False, **dict(detector.arrays))
    return UnknownInfo(detector.method, float(detector.threshold))


def _write_learned(folder: Path, learned: Collection[str]) -> None:
    # sorted: nothing tells the order of the images
    hashes = sorted({bytes.fromhex(sha256)[:HASH_BYTES] for sha256 in learned})
    (folder / LEARNED_FILE).write_bytes(b"".join(hashes))


def _file_info(path: Path) -> FileInfo:
    return FileInfo(storage.sha256_of(path), path.stat().st_size)
