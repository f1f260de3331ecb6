"""LiteRT (TensorFlow Lite): the rebuilt network for images of its own size, class names as an associated file.

Associated files are entries of a zip file behind the model's own bytes, as TensorFlow Lite's metadata has them.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.classifier.bundle import Bundle
from headstart.classifier.export import rebuild
from headstart.classifier.export.comparison import Pixels, Runtime
from headstart.classifier.export.formats import Calibration, Format
from headstart.classifier.export.note import LABELS, NAME, Note
from headstart.classifier.export.packages import need_tensorflow, needed, quietly, version_of
from headstart.features import graph
from headstart.machine import core_count

_FIXED_BECAUSE = "LiteRT has no antialiased resizing"


def check_packages(int8: bool) -> None:
    """Raise MissingExtraError, or ExportError, where the export could not work."""
    need_tensorflow("litert")
    with needed("ai-edge-litert"), quietly():
        import ai_edge_litert.interpreter  # noqa: F401


def write(bundle: Bundle, file: Path, note: Note, calibration: Calibration) -> None:
    """Write a bundle for LiteRT: ``image`` uint8 RGB of the network's size -> ``probabilities``, ``logits``.

    Raises:
        ClassifierError: the bundle's network cannot be built in Keras.
    """
    model = rebuild.keras_model(bundle)
    with quietly():
        model.export(str(file), format="litert", verbose=False)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(LABELS, note.labels())
        archive.writestr(f"{NAME}.json", note.as_json())


def open_file(file: Path) -> Runtime:
    """Open a written file with LiteRT's interpreter."""
    from ai_edge_litert.interpreter import Interpreter

    with quietly():
        interpreter = Interpreter(str(file), num_threads=core_count())
        runner = interpreter.get_signature_runner()
        # the first run tells of the delegate that it makes
        runner(image=np.zeros(interpreter.get_input_details()[0]["shape"], np.uint8))

    def run(pixels: Pixels) -> NDArray[np.float32]:
        return np.asarray(runner(image=pixels)[graph.PROBABILITIES])

    return Runtime(version_of("ai-edge-litert"), False, run)


FORMAT = Format("litert", ".tflite", check_packages, write, open_file, _FIXED_BECAUSE, rebuilt=True)
