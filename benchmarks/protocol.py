"""How much faster the main job is than plain Keras, measured side by side on one machine.

The protocol: learning rates x folds x epochs with a frozen backbone, then one final training per rate. headstart runs
all of it, reading and features included. Plain Keras (frozen backbone inside the model, ``fit`` on images read from
their files) runs one epoch of one fold; its time per image is scaled to the whole protocol, as the table says.

    python benchmarks/protocol.py PHOTOS --weights-dir WEIGHTS [--backbone mobilenet] [--runs 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from headstart.backbones import architectures, catalog, weights
from headstart.backbones.engine import keras_module
from headstart.data import decode
from headstart.data.decode import RESIZE_VERSION, Resize
from headstart.data.images import ImageTable, read_table
from headstart.data.split import Splits, split_table
from headstart.features import trunk
from headstart.features.cache import FeatureCache, Space
from headstart.features.extract import ImageSet, Request, extract, run_batches
from headstart.machine import core_count
from headstart.recipe import Candidate, Optimizer, Protocol, Training
from headstart.study.judge import final_job, round_job
from headstart.training.bank import train_bank

RATES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
FOLDS, EPOCHS, BATCH = 5, 20, 32
SAMPLE = 1024


def seconds(work: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


class Bench:
    """The photographs, the backbone and every measurement on them."""

    def __init__(self, photos: Path, weights_dir: Path, backbone: str) -> None:
        self.backbone = catalog.find(backbone)
        self.file = weights.require(self.backbone, weights_dir=weights_dir)
        side = self.backbone.default_size
        self.size = Resize(side, side)
        self.photos = photos
        self.table: ImageTable = read_table(photos)
        self.splits: Splits = split_table(self.table, Protocol(folds=FOLDS))
        self.rows = self.table.ok
        self.labels = np.array([self.table.classes.index(row.label) for row in self.rows])
        self.images = ImageSet(tuple(row.sha256 for row in self.rows), lambda at: self.table.encoded(self.rows[at]))

    def network(self):
        """Return the pretrained Keras backbone."""
        model = architectures.build(self.backbone, image_size=self.size.height, seed=0)
        weights.load(model, self.file)
        return model

    def build_trunk(self) -> trunk.Trunk:
        """Return a freshly converted and compiled trunk."""
        engine = trunk.choose_engine()
        return trunk.build_trunk(self.network(), self.backbone.preprocessing, self.size, engine=engine, precision="f32")

    def decode_rate(self) -> float:
        """Return images/s of reading and decoding alone, on all cores."""

        def ignore(indices: object, pixels: object) -> None:
            """Drop the pixels."""

        def load(index: int) -> np.ndarray:
            return decode.load(self.images.encoded(index), self.size)

        sample = range(0, len(self.rows), max(1, len(self.rows) // SAMPLE))
        took = seconds(lambda: run_batches(sample, load, ignore, batch_size=8, workers=core_count()))
        return len(sample) / took

    def inference_rate(self, ready: trunk.Trunk) -> float:
        """Return images/s of the trunk alone on pixels in memory, on all cores."""
        pixels = np.random.default_rng(0).integers(0, 256, (64, self.size.height, self.size.width, 3), np.uint8)

        def run(indices: object, batch: np.ndarray) -> None:
            ready.run(batch)

        took = seconds(
            lambda: run_batches(
                range(SAMPLE), lambda at: pixels[at % 64], run, batch_size=ready.batch_size, workers=ready.workers
            )
        )
        return SAMPLE / took

    def extraction(self, ready: trunk.Trunk) -> tuple[np.ndarray, float]:
        """Return the features of all photographs, and the seconds from files to features in an empty cache."""
        space = Space(
            self.backbone.name, self.file.sha256, "end", "average", "own", self.size.height, self.size.width,
            "stretch", RESIZE_VERSION, "pillow", "original", "bench", "f32",
        )  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            [(features, _)] = extract(
                self.images, [Request(space, lambda: ready)], FeatureCache(Path(folder)), size=self.size
            )
            return features, time.perf_counter() - start

    def bank(self, features: np.ndarray) -> float:
        """Return the seconds of all rates x folds x epochs and one final training per rate."""
        candidates = [
            Candidate(self.backbone.name, train=Training(EPOCHS, BATCH, Optimizer("adam", rate))) for rate in RATES
        ]
        rounds = [round_job(one, fold, Protocol()) for one in candidates for fold in self.splits.rounds]
        finals = [final_job(one, self.splits.train, EPOCHS, Protocol()) for one in candidates]
        classes = len(self.table.classes)
        return seconds(lambda: (train_bank(features, self.labels, rounds, classes=classes),
                                train_bank(features, self.labels, finals, classes=classes)))  # fmt: skip

    def plain_keras(self) -> tuple[float, int]:
        """Return the seconds of one epoch of ``fit`` with validation on one fold, and the images it passes."""
        keras = keras_module()
        base = self.network()
        base.trainable = False
        pixels = keras.Input((self.size.height, self.size.width, 3))
        scaled = keras.layers.Rescaling(1 / 127.5, offset=-1)(pixels)
        pooled = keras.layers.GlobalAveragePooling2D()(base(scaled))
        model = keras.Model(pixels, keras.layers.Dense(len(self.table.classes), activation="softmax")(pooled))
        model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
        fold = self.splits.rounds[0]
        train, validation = self._files(fold.train), self._files(fold.validation)
        quietly = {"epochs": 1, "shuffle": False, "verbose": 0}
        model.fit(train.take(2), validation_data=validation.take(1), **quietly)
        took = seconds(lambda: model.fit(train, validation_data=validation, **quietly))
        return took, len(fold.train) + len(fold.validation)

    def _files(self, positions: np.ndarray):
        """Return decoded, resized batches as ``keras.utils.image_dataset_from_directory`` makes them."""
        import tensorflow as tf

        paths = [str(self.photos / self.splits.rows[at].path) for at in positions]
        labels = [self.table.classes.index(self.splits.rows[at].label) for at in positions]

        def read(path: object, label: object) -> tuple[object, object]:
            image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
            return tf.image.resize(image, (self.size.height, self.size.width)), label

        files = tf.data.Dataset.from_tensor_slices((paths, labels))
        return files.map(read, num_parallel_calls=tf.data.AUTOTUNE).batch(BATCH).prefetch(tf.data.AUTOTUNE)

    def passes(self) -> int:
        """Return how many image passes the whole protocol makes: every epoch sees train and validation."""
        folds = sum(len(one.train) + len(one.validation) for one in self.splits.rounds)
        return len(RATES) * EPOCHS * (folds + len(self.splits.train))


def measure(bench: Bench, runs: int) -> dict[str, object]:
    """Measure everything ``runs`` times in turn, and return medians and their ratios."""
    rows: dict[str, list[float]] = {}
    for _ in range(runs):
        scan = seconds(lambda: read_table(bench.photos))
        start = time.perf_counter()
        ready = bench.build_trunk()
        built = time.perf_counter() - start
        # the machine's speed drifts: the floor is measured before and after what is held against it
        before = bench.decode_rate(), bench.inference_rate(ready)
        features, extraction = bench.extraction(ready)
        after = bench.decode_rate(), bench.inference_rate(ready)
        decode_rate, inference_rate = map(statistics.harmonic_mean, zip(before, after, strict=True))
        bank = bench.bank(features)
        keras_epoch, keras_images = bench.plain_keras()
        keras_all = keras_epoch / keras_images * bench.passes()
        floor = 1 / (1 / decode_rate + 1 / inference_rate)
        values = {
            "decode_images_per_s": decode_rate,
            "inference_images_per_s": inference_rate,
            "floor_images_per_s": floor,
            "extraction_images_per_s": len(bench.rows) / extraction,
            "extraction_share_of_floor": len(bench.rows) / extraction / floor,
            "scan_s": scan,
            "trunk_build_s": built,
            "extraction_s": extraction,
            "bank_s": bank,
            "headstart_s": scan + built + extraction + bank,
            "keras_images_per_s": keras_images / keras_epoch,
            "keras_scaled_s": keras_all,
            "times_faster": keras_all / (scan + built + extraction + bank),
        }
        for name, value in values.items():
            rows.setdefault(name, []).append(value)
    return {name: {"median": statistics.median(each), "runs": each} for name, each in rows.items()}


def main() -> None:
    """Measure, print one table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--weights-dir", type=Path, required=True)
    parser.add_argument("--backbone", default="mobilenet")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/protocol.json"))
    arguments = parser.parse_args()
    bench = Bench(arguments.photos, arguments.weights_dir, arguments.backbone)
    bench.build_trunk()  # imports and first-time set-up are nobody's to pay
    results = measure(bench, arguments.runs)
    print(f"{len(RATES)} rates x {FOLDS} folds x {EPOCHS} epochs + {len(RATES)} finals, {arguments.backbone}, "
          f"{len(bench.rows):,} photographs, {core_count()} cores; medians of {arguments.runs}")  # fmt: skip
    for name, values in results.items():
        print(f"{name:<28}{values['median']:>12,.2f}   {', '.join(f'{each:,.2f}' for each in values['runs'])}")
    print(f"keras_scaled_s is one epoch of one fold, scaled from its images to {bench.passes():,} image passes")
    machine = {"python": platform.python_version(), "cores": core_count(), "processor": platform.processor()}
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
