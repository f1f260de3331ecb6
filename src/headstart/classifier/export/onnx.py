"""ONNX: the network by way of Keras and tf2onnx, the resize rule in front of it in nodes of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headstart.classifier.bundle import Bundle
from headstart.classifier.export import rebuild
from headstart.classifier.export.comparison import Pixels, Runtime
from headstart.classifier.export.formats import Calibration, Format
from headstart.classifier.export.note import NAME, Note
from headstart.classifier.export.onnx_resize import OPSET, resize_nodes
from headstart.classifier.export.packages import need_tensorflow, needed, quietly, version_of
from headstart.data.decode import Resize
from headstart.errors import ExportError
from headstart.features import graph
from headstart.version import __version__

if TYPE_CHECKING:
    import onnx

_INT8 = "onnxruntime, static: QDQ, weights in int8 per channel, activations in uint8 from minimum to maximum"

_PIXELS = "pixels"
_IMAGES = "images"
# What is computed in 8 bits; the rest of a network is small.
_QUANTIZED = ["Conv", "MatMul", "Gemm"]


def check_packages(int8: bool) -> None:
    """Raise MissingExtraError, or ExportError, where the export could not work."""
    # TensorFlow by way of Keras first: imported by tf2onnx it would talk on the terminal
    need_tensorflow("onnx")
    with needed("onnx"):
        import onnx  # noqa: F401
    with needed("onnxruntime"):
        import onnxruntime  # noqa: F401
    with needed("tf2onnx"), quietly():
        import tf2onnx  # noqa: F401


def write(bundle: Bundle, file: Path, note: Note, calibration: Calibration) -> None:
    """Write a bundle as ONNX (opset 18): ``image`` uint8 RGB of any size -> ``probabilities``, ``logits``.

    Raises:
        ClassifierError: the bundle's network cannot be built in Keras.
        ExportError: the file would not be valid.
    """
    import onnx

    model = _network(bundle, file.with_name("network.onnx"))
    if calibration is not None:
        model = _quantized(model, file, calibration)
    _put_in_front(model, bundle.info.size)
    _describe(model, note, len(bundle.info.classes))
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise ExportError(f"The ONNX file would not be valid: {reason}. Nothing was written.") from error
    onnx.save(model, file)


def open_file(file: Path) -> Runtime:
    """Open a written file with onnxruntime."""
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    # it would warn of every constant that it folds away
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def run(pixels: Pixels) -> NDArray[np.float32]:
        [probabilities] = session.run([graph.PROBABILITIES], {graph.IMAGE: pixels})
        return np.asarray(probabilities)

    return Runtime(version_of("onnxruntime"), True, run)


def _network(bundle: Bundle, file: Path) -> onnx.ModelProto:
    """Return the network with input ``pixels``, of the network's own size."""
    import onnx

    model = rebuild.keras_model(bundle)
    with quietly():
        # Keras exports no model that was never called
        model(np.zeros((1, *model.input_shape[1:]), np.uint8))
        model.export(str(file), format="onnx", verbose=False, opset_version=OPSET)
    converted = onnx.load(file)
    file.unlink()
    [given] = [one.name for one in converted.graph.input]
    for node in converted.graph.node:
        node.input[:] = [_PIXELS if name == given else name for name in node.input]
    converted.graph.input[0].name = _PIXELS
    # shapes that the converter noted for its own use
    del converted.graph.value_info[:]
    return converted


def _quantized(model: onnx.ModelProto, file: Path, calibration: Sequence[Pixels]) -> onnx.ModelProto:
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    left = iter(calibration)

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, Pixels] | None:
            pixels = next(left, None)
            return None if pixels is None else {_PIXELS: pixels}

    plain, ready, small = (file.with_name(f"{name}.onnx") for name in ("plain", "ready", "small"))
    onnx.save(model, plain)
    with quietly():
        quant_pre_process(plain, ready, skip_symbolic_shape=True)
        quantization.quantize_static(
            ready,
            small,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=_QUANTIZED,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
    quantized = onnx.load(small)
    for used in (plain, ready, small):
        used.unlink()
    return quantized


def _put_in_front(model: onnx.ModelProto, size: Resize) -> None:
    """Put the resize rule between the new input, images of any size, and the network."""
    from onnx import TensorProto, helper

    front = resize_nodes(size, image=graph.IMAGE, pixels=_PIXELS)
    network = list(model.graph.node)
    del model.graph.node[:], model.graph.input[:]
    model.graph.node.extend([*front.nodes, *network])
    model.graph.initializer.extend(front.constants)
    shape: list[str | int | None] = [_IMAGES, "height", "width", 3]
    model.graph.input.append(helper.make_tensor_value_info(graph.IMAGE, TensorProto.UINT8, shape))


def _describe(model: onnx.ModelProto, note: Note, classes: int) -> None:
    """Name the outputs' axes, and write the note into the metadata, each entry under its own key."""
    from onnx import TensorProto, helper

    names = (graph.PROBABILITIES, graph.LOGITS)
    del model.graph.output[:]
    model.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [_IMAGES, classes]) for name in names
    )
    model.graph.name = NAME
    model.producer_name, model.producer_version, model.domain = NAME, __version__, ""
    model.doc_string = f"{note.input} -> {note.output}. classes (JSON) in the metadata are in the order of the outputs."
    helper.set_model_props(model, note.as_strings())


FORMAT = Format("onnx", ".onnx", check_packages, write, open_file, int8=_INT8, rebuilt=True)
