"""Keras: the rebuilt network as a ``.keras`` file of Keras' own layers; the note lies in that zip file too."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.backbones.engine import keras_module
from headstart.classifier.bundle import Bundle
from headstart.classifier.export import rebuild
from headstart.classifier.export.comparison import Pixels, Runtime
from headstart.classifier.export.formats import Calibration, Format
from headstart.classifier.export.note import LABELS, NAME, Note
from headstart.classifier.export.packages import quietly, version_of
from headstart.features import graph

_FIXED_BECAUSE = (
    "Keras' resizing layer rounds once where Pillow rounds after the rows and after the columns, which moves "
    "probabilities by more than 0.001, and it crops and pads by other rules"
)


def check_packages(int8: bool) -> None:
    """Raise MissingExtraError where the export could not work."""
    keras_module()


def write(bundle: Bundle, file: Path, note: Note, calibration: Calibration) -> None:
    """Write a bundle as a Keras model: ``image`` uint8 RGB of the network's size -> ``probabilities``, ``logits``.

    Raises:
        ClassifierError: the bundle's network cannot be built in Keras.
    """
    model = rebuild.keras_model(bundle)
    with quietly():
        model.save(file)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(f"{NAME}.json", note.as_json())
        archive.writestr(LABELS, note.labels())


def open_file(file: Path) -> Runtime:
    """Open a written file with Keras, without trusting it."""
    with quietly():
        model = keras_module().saving.load_model(file, safe_mode=True)

    def run(pixels: Pixels) -> NDArray[np.float32]:
        return np.asarray(model.predict_on_batch(pixels)[graph.PROBABILITIES])

    return Runtime(f"{version_of('keras')} on {keras_module().backend.backend()}", False, run)


FORMAT = Format("keras", ".keras", check_packages, write, open_file, _FIXED_BECAUSE, rebuilt=True)
