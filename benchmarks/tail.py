"""How much faster training from the cut is than plain Keras, measured side by side on one machine.

Two settings: ResNet50 at 256 pixels with its last 4 layers trainable, MobileNetV2 at 160 pixels from layer 130. For
each, in turn: one epoch of plain Keras (``fit`` on the whole model, first layers frozen, pixels in memory), and one
epoch of headstart on the features that cross the cut. Then what these features cost once, and whether half precision
would do for keeping them. Weights are random: they do not change the time.

    python benchmarks/tail.py [--images 256] [--runs 3] [--only resnet50] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart.backbones import architectures, catalog
from headstart.backbones.engine import keras_module
from headstart.data.resize import Resize
from headstart.features import trunk
from headstart.features.cut import crossing_shapes, tail_variables
from headstart.machine import core_count
from headstart.recipe import Head, Optimizer, Training
from headstart.recipe.cuts import first_layer
from headstart.training.finetune import FineTuner
from headstart.training.heads import Fit, Job, softmax

CLASSES, BATCH, RATE = 5, 32, 1e-4


@dataclass(frozen=True, slots=True)
class Setting:
    """A backbone, its image size, what trains, the units of the head's hidden layers, and the aim."""

    backbone: str
    side: int
    trainable: str
    dense: tuple[int, ...]
    target: float

    @property
    def head(self) -> Head:
        """The head that the report put on this backbone, without its dropout."""
        return Head(layers=tuple(f"dense {units}" for units in self.dense))


SETTINGS = (
    Setting("resnet50", 256, "last 4", (1024, 1024), 10.0),
    Setting("mobilenet_v2", 160, "from 130", (64,), 2.5),
)


def seconds(work: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


class Bench:
    """One setting with its pixels and labels, and every measurement on them."""

    def __init__(self, setting: Setting, images: int) -> None:
        self.setting, self.backbone = setting, catalog.find(setting.backbone)
        random = np.random.default_rng(0)
        coarse = random.integers(0, 256, (images, 8, 8, 3), np.uint8)
        scale = setting.side // 8
        self.pixels = coarse.repeat(scale, axis=1).repeat(scale, axis=2)
        self.labels = random.integers(0, CLASSES, images)
        self.network = self._network()
        self.start = first_layer(setting.trainable, len(self.network.layers))
        self.bytes_per_image = 4 * sum(int(np.prod(shape)) for shape in crossing_shapes(self.network, self.start))

    def _network(self):
        network = architectures.build(self.backbone, image_size=self.setting.side, seed=0)
        architectures.settle_normalization(network, self.backbone.preprocessing, seed=0)
        return network

    def plain_keras(self) -> Callable[[], object]:
        """Return one epoch of plain Keras."""
        keras, network = keras_module(), self._network()
        for layer in network.layers[: self.start]:
            layer.trainable = False
        values = keras.layers.GlobalAveragePooling2D()(network.output)
        for units in self.setting.dense:
            values = keras.layers.Dense(units, activation="relu")(values)
        model = keras.Model(network.input, keras.layers.Dense(CLASSES, activation="softmax")(values))
        model.compile(keras.optimizers.Adam(RATE), "sparse_categorical_crossentropy", metrics=["accuracy"])
        inputs = self.backbone.preprocessing.apply(self.pixels)
        return lambda: model.fit(inputs, self.labels, batch_size=BATCH, epochs=1, verbose=0)

    def features(self) -> np.ndarray:
        """Return what crosses the cut ``(images, values)``, as a study computes it."""
        size = Resize(self.setting.side, self.setting.side)
        ready = trunk.build_trunk(
            self.network,
            self.backbone.preprocessing,
            size,
            engine=trunk.choose_engine(),
            precision="f32",
            start=self.start,
        )
        batches = range(0, len(self.pixels), ready.batch_size)
        return np.concatenate([ready.run(self.pixels[first : first + ready.batch_size]) for first in batches])

    def tuner(self) -> FineTuner:
        """Return headstart's training from the cut."""
        return FineTuner(self.network, self.setting.head, CLASSES, preprocessing=None, start=self.start)

    def job(self, epochs: int) -> Job:
        """Return a training on all images."""
        settings = Training(epochs, BATCH, Optimizer("adam", RATE), trainable=self.setting.trainable)
        rows = np.arange(len(self.labels))
        return Job("bench", self.setting.head, settings, epochs, rows, None, order_seed=0, init_seed=0, dropout_seed=0)

    def fit(self, tuner: FineTuner, features: np.ndarray, epochs: int) -> Fit:
        """Train from the cut."""
        return tuner.fit(features, self.labels, self.job(epochs))

    def epoch(self, tuner: FineTuner, features: np.ndarray) -> float:
        """Return the seconds of one epoch: what a third and a fourth add, without start and final scores."""
        return (seconds(lambda: self.fit(tuner, features, 4)) - seconds(lambda: self.fit(tuner, features, 2))) / 2


def measure(bench: Bench, runs: int) -> dict[str, list[float]]:
    """Measure everything ``runs`` times in turn."""
    plain = bench.plain_keras()
    plain()  # tracing is paid once, not in every epoch
    tuner, features = bench.tuner(), bench.features()
    half = features.astype(np.float16)
    bench.fit(tuner, features, 1)
    rows: dict[str, list[float]] = {}
    for _ in range(runs):
        # the machine's speed drifts: plain Keras is measured before and after what is held against it
        before = seconds(plain)
        from_cut, from_half = bench.epoch(tuner, features), bench.epoch(tuner, half)
        keras_epoch = (before + seconds(plain)) / 2
        extraction = seconds(bench.features)
        values = {
            "keras_epoch_s": keras_epoch,
            "cut_epoch_s": from_cut,
            "times_faster": keras_epoch / from_cut,
            "cut_epoch_fp16_s": from_half,
            "fp16_to_fp32_time": from_half / from_cut,
            "features_once_s": extraction,
            "features_in_keras_epochs": extraction / keras_epoch,
        }
        for name, value in values.items():
            rows.setdefault(name, []).append(value)
    rows["fp16_probability_difference"] = [fp16_difference(bench, tuner, features, half)]
    rows["bytes_per_image"] = [float(bench.bytes_per_image)]
    rows["trainable_weights"] = [float(sum(np.prod(one.shape) for one in tail_variables(bench.network, bench.start)))]
    return rows


def fp16_difference(bench: Bench, tuner: FineTuner, features: np.ndarray, half: np.ndarray) -> float:
    """Return the largest difference of a probability after two epochs when features are kept in half precision."""
    rows = np.arange(len(features))
    one, other = (
        softmax(tuner.logits(kept, rows, bench.fit(tuner, kept, 2))).astype(np.float64) for kept in (features, half)
    )
    return float(abs(one - other).max())


def main() -> None:
    """Measure, print one table per setting and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=[setting.backbone for setting in SETTINGS])
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/tail.json"))
    arguments = parser.parse_args()
    results = {}
    for setting in SETTINGS:
        if arguments.only not in (None, setting.backbone):
            continue
        rows = measure(Bench(setting, arguments.images), arguments.runs)
        what = (
            f"{setting.backbone} {setting.side}, {setting.trainable}, {arguments.images} images, {core_count()} cores"
        )
        print(f"{what}; medians of {arguments.runs}; times_faster is to be at least {setting.target:g}")
        for name, values in rows.items():
            print(f"  {name:<28}{statistics.median(values):>14,.5g}   {', '.join(f'{each:,.4g}' for each in values)}")
        results[setting.backbone] = {
            name: {"median": statistics.median(values), "runs": values} for name, values in rows.items()
        }
    machine = {"python": platform.python_version(), "cores": core_count(), "processor": platform.processor()}
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
