"""OpenVINO: the bundle's own graph, its probabilities calibrated, with the note inside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headstart.classifier.bundle import Bundle
from headstart.classifier.export.comparison import Pixels, Runtime
from headstart.classifier.export.formats import Calibration, Format
from headstart.classifier.export.note import NAME, Note
from headstart.classifier.export.packages import needed, quietly, version_of
from headstart.features import graph

if TYPE_CHECKING:
    import openvino as ov

_FIXED_BECAUSE = (
    "OpenVINO's resizing differs from Pillow's by up to two grey levels, which moves probabilities by more than 0.001"
)
_INT8 = "NNCF after training: preset mixed, biases corrected"


def check_packages(int8: bool) -> None:
    """Raise MissingExtraError where the export could not work."""
    # OpenVINO first: then NNCF finds no telemetry package and reports nothing over the network
    graph.openvino_module()
    if int8:
        with needed("nncf"), quietly():
            import nncf  # noqa: F401


def write(bundle: Bundle, file: Path, note: Note, calibration: Calibration) -> None:
    """Write a bundle as an OpenVINO model, FILE.xml and FILE.bin.

    It maps ``image``, uint8 RGB of the network's size, to ``probabilities`` and ``logits``.
    """
    ov = graph.openvino_module()
    model = _with_two_outputs(bundle.graph(), bundle.info.temperature)
    if calibration is not None:
        model = _quantized(model, calibration)
    for key, value in note.as_strings().items():
        model.set_rt_info(value, [NAME, key])
    ov.save_model(model, file, compress_to_fp16=False)


def open_file(file: Path) -> Runtime:
    """Open a written file with OpenVINO, in float32."""
    core = graph.openvino_module().Core()
    compiled = core.compile_model(core.read_model(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    output = compiled.output(graph.PROBABILITIES)

    def run(pixels: Pixels) -> NDArray[np.float32]:
        return np.asarray(compiled({graph.IMAGE: pixels})[output])

    return Runtime(version_of("openvino"), False, run)


def _with_two_outputs(model: ov.Model, temperature: float) -> ov.Model:
    """Return the graph with calibrated probabilities and logits only."""
    ov = graph.openvino_module()
    ops = ov.opset13
    logits = model.output(graph.LOGITS).get_node().input_value(0)
    for output in model.outputs:
        output.get_node().input_value(0).get_tensor().set_names(set())
    scaled = ops.divide(logits, np.float32(temperature))
    results = {graph.PROBABILITIES: ops.result(ops.softmax(scaled, -1)), graph.LOGITS: ops.result(logits)}
    for name, result in results.items():
        result.output(0).get_tensor().set_names({name})
    return ov.Model(list(results.values()), model.get_parameters(), NAME)


def _quantized(model: ov.Model, calibration: Sequence[Pixels]) -> ov.Model:
    with quietly():
        import nncf

        return nncf.quantize(
            model, nncf.Dataset(calibration), preset=nncf.QuantizationPreset.MIXED, subset_size=len(calibration)
        )


FORMAT = Format("openvino", ".xml", check_packages, write, open_file, _FIXED_BECAUSE, _INT8)
