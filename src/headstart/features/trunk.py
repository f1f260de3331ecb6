"""The trunk: the frozen layers of a backbone, compiled to run fast over batches of pixels.

What leaves it is flat: the whole backbone's feature map after pooling, or all tensors that cross a cut, one after the
other.

OpenVINO runs it on the CPU; Keras runs it where OpenVINO is absent or Keras sees a GPU.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from headstart.backbones.catalog import Preprocessing
from headstart.backbones.engine import backend_name, keras_module
from headstart.data.decode import Resize
from headstart.features import cut, graph
from headstart.features.pooling import pool
from headstart.machine import core_count

if TYPE_CHECKING:
    import keras
    import openvino as ov

Features = NDArray[np.float32]
Pixels = NDArray[np.uint8]

# Small batches keep the activations of a MobileNet in the second-level cache: 4 to 8 measured best on two cores.
OPENVINO_BATCH = 8
KERAS_BATCH = 64


class Trunk(Protocol):
    """Turns batches of pixels into features; may be called from ``workers`` threads at once."""

    batch_size: int
    workers: int

    def run(self, pixels: Pixels) -> Features:
        """Return features ``(n, values)`` of pixels ``(n, height, width, 3)``."""
        ...


class OpenVinoTrunk:
    """A trunk on the CPU: one inference stream and one thread per core, so that a worker decodes, then computes.

    Args:
        model: a graph of ``features.graph`` whose input has the network's size.
        output: which output of the graph ``run`` returns.
        precision: ``f32`` or ``bf16``; OpenVINO's own default is bf16 on some CPUs.
    """

    batch_size = OPENVINO_BATCH

    def __init__(self, model: ov.Model, *, precision: str, output: str = graph.FEATURES) -> None:
        self.workers = core_count()
        self._output = output
        self._compiled = (
            graph.openvino_module().Core().compile_model(model, "CPU", _cpu_settings(precision, self.workers))
        )
        self._local = threading.local()

    def run(self, pixels: Pixels) -> Features:
        """Return the output ``(n, ...)``, features unless another was chosen, of pixels ``(n, height, width, 3)``."""
        request = self._request()
        request.infer({graph.IMAGE: pixels}, share_inputs=True)
        output: Features = request.get_tensor(self._output).data.copy()
        return output

    def _request(self) -> Any:
        if not hasattr(self._local, "request"):
            self._local.request = self._compiled.create_infer_request()
        return self._local.request


class KerasTrunk:
    """A trunk in Keras: large batches, one at a time, while other threads decode.

    Args:
        model: preprocessed float32 pixels -> features ``(n, values)``.
    """

    batch_size = KERAS_BATCH

    def __init__(self, model: keras.Model, preprocessing: Preprocessing) -> None:
        self.workers = max(2, core_count())
        self._model = model
        self._preprocessing = preprocessing
        self._lock = threading.Lock()

    def run(self, pixels: Pixels) -> Features:
        """Return features ``(n, values)`` of pixels ``(n, height, width, 3)``."""
        inputs = self._preprocessing.apply(pixels)
        with self._lock:
            features: Features = self._model.predict_on_batch(inputs)
        return features


@dataclass(frozen=True, slots=True)
class Engine:
    """What computes features: ``openvino`` or ``keras``, with the version that goes into the cache's key."""

    name: str
    version: str

    @property
    def label(self) -> str:
        """Name and version in one word."""
        return f"{self.name}-{self.version}"


def choose_engine(preferred: str | None = None) -> Engine:
    """Return the engine for this machine: OpenVINO on CPU, Keras where a GPU is seen or OpenVINO is absent.

    ``HEADSTART_ENGINE`` or ``preferred`` (``openvino`` or ``keras``) decides instead.
    """
    from importlib import metadata, util

    wanted = preferred or os.environ.get("HEADSTART_ENGINE", "")
    if wanted != "keras" and util.find_spec("openvino") and (wanted == "openvino" or not _gpu_is_likely()):
        return Engine("openvino", metadata.version("openvino"))
    return Engine("keras", f"{metadata.version('keras')}-{backend_name()}")


def _gpu_is_likely() -> bool:
    """Tell whether Keras would see an NVIDIA GPU, without importing it where there is no driver."""
    import shutil

    if not shutil.which("nvidia-smi"):
        return False
    devices: list[str] = keras_module().distribution.list_devices("gpu")
    return bool(devices)


def build_trunk(
    network: keras.Model,
    preprocessing: Preprocessing,
    size: Resize,
    *,
    engine: Engine,
    precision: str,
    pooling: str = "average",
    start: int | None = None,
) -> Trunk:
    """Return the trunk of a Keras backbone on the given engine.

    Args:
        network: preprocessed float32 pixels -> feature map, or values ``(n, values)`` that need no pooling.
        pooling: of the feature map: ``average``, ``max`` or ``flatten``.
        start: number of the first layer that is not in the trunk. Features are then the tensors of
            ``features.cut.crossing``, each flattened in C order, one after the other.
    """
    model = network if start is None else _flat_model(network, start)
    if engine.name == "keras":
        pooled = keras_module().Model(model.input, pool(model.output, pooling))
        return KerasTrunk(pooled, preprocessing)
    whole = graph.backbone_graph(graph.from_keras(model), preprocessing, size, any_size=False, pooling=pooling)
    return OpenVinoTrunk(whole, precision=precision)


def _flat_model(network: keras.Model, start: int) -> keras.Model:
    """Return the layers before ``start``: input -> all that crosses the cut, flattened and joined ``(n, values)``."""
    keras = keras_module()
    model = cut.trunk_model(network, start)
    flat = [keras.layers.Flatten()(tensor) for tensor in model.outputs]
    return keras.Model(model.input, keras.layers.Concatenate()(flat) if len(flat) > 1 else flat[0])


def milliseconds_per_image(trunk: Trunk, size: Resize, *, repeats: int = 9) -> float:
    """Return the median time of one image alone through the trunk, decoding not included."""
    image = np.random.default_rng(0).integers(0, 256, (1, size.height, size.width, 3), np.uint8)
    trunk.run(image)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        trunk.run(image)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def _cpu_settings(precision: str, streams: int) -> dict[str, Any]:
    return {
        "INFERENCE_PRECISION_HINT": precision,
        "NUM_STREAMS": str(streams),
        "INFERENCE_NUM_THREADS": streams,
        "ENABLE_CPU_PINNING": False,
    }
