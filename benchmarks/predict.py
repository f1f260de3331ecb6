"""How near `predict` comes to the floor: decoding alone plus OpenVINO alone, each on all cores.

With d images per second decoded (files read, decoded, resized; nothing else) and i images per second through the
network (OpenVINO on pixels that are ready), no program that does both on the same cores gives more than
1 / (1/d + 1/i). In every round the three are measured one after the other, so that what else the machine does reaches
all of them; the medians over the rounds are shown.

    python benchmarks/predict.py PHOTOS [--classifier FOLDER] [--rounds 5] [--images N] [--json FILE]

Without --classifier it is a MobileNet, with the weights of HEADSTART_WEIGHTS or else random ones: the time is the same.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

# as `headstart predict` does, before NumPy is imported
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import headstart
from headstart.classifier.inputs import find_images
from headstart.classifier.predict import Classifier
from headstart.data import decode
from headstart.features import graph
from headstart.features.extract import run_batches
from headstart.features.trunk import OPENVINO_BATCH, OpenVinoTrunk
from headstart.machine import core_count


@dataclass(frozen=True, slots=True)
class Round:
    """Images per second of one round."""

    decoding: float
    network: float
    predict: float

    @property
    def floor(self) -> float:
        """What nothing that does both can exceed."""
        return 1 / (1 / self.decoding + 1 / self.network)

    @property
    def share(self) -> float:
        """How much of the floor is reached."""
        return self.predict / self.floor


def measure(classifier: Classifier, files: Sequence[Path]) -> Round:
    """Measure the three, one after the other."""
    size = classifier.info.size
    trunk = OpenVinoTrunk(classifier.read_graph(), precision=classifier.info.precision, output=graph.LOGITS)
    ready = np.stack([decode.load(file.read_bytes(), size) for file in files[:OPENVINO_BATCH]])

    def compute(batch: Sequence[int], pixels: np.ndarray) -> None:
        trunk.run(ready[: len(batch)])

    def load(index: int) -> np.ndarray:
        return decode.load(files[index].read_bytes(), size)

    nothing = np.zeros((1, 1, 3), np.uint8)

    def batches(load: Callable, run: Callable) -> Callable[[], None]:
        return lambda: run_batches(range(len(files)), load, run, batch_size=trunk.batch_size, workers=trunk.workers)

    decoding = rate(batches(load, lambda batch, pixels: None), len(files))
    network = rate(batches(lambda index: nothing, compute), len(files))
    return Round(decoding, network, rate(lambda: classifier.predict(files), len(files)))


def rate(work: Callable[[], object], images: int) -> float:
    """Return images per second of a call."""
    start = time.perf_counter()
    work()
    return images / (time.perf_counter() - start)


def make_classifier(files: Sequence[Path], folder: Path) -> Classifier:
    """Return a MobileNet with five classes."""
    weights = "imagenet" if os.environ.get("HEADSTART_WEIGHTS") else "random"
    estimator = headstart.ImageClassifier("mobilenet", weights=weights, head="logistic")
    few = files[:40]
    return headstart.load(estimator.fit(few, [number % 5 for number in range(len(few))]).save(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--classifier", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=0, help="only so many")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    files = find_images([arguments.photos])
    if arguments.images:
        # from all folders alike
        files = [files[place] for place in np.linspace(0, len(files) - 1, arguments.images).astype(int)]
    with tempfile.TemporaryDirectory() as folder:
        given = arguments.classifier
        classifier = headstart.load(given) if given else make_classifier(files, Path(folder) / "classifier")
        classifier.predict(files[:64])
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
        print(f"{len(files):,} images, {core_count()} cores, {platform.machine()}, load {load:.1f}")
        print("decoding  network  floor  predict  share of the floor   (images per second)")
        rounds = []
        for _ in range(arguments.rounds):
            rounds.append(measure(classifier, files))
            print(line(rounds[-1]), flush=True)
    middle = [statistics.median(getattr(one, name) for one in rounds) for name in ("decoding", "network", "predict")]
    print(f"{line(Round(*middle))}   medians; median share {statistics.median(one.share for one in rounds):.1%}")
    if arguments.json:
        rows = [asdict(one) | {"floor": one.floor, "share": one.share} for one in rounds]
        arguments.json.write_text(json.dumps({"images": len(files), "cores": core_count(), "rounds": rows}, indent=1))


def line(one: Round) -> str:
    """Return one line of the table."""
    return f"{one.decoding:8.1f} {one.network:8.1f} {one.floor:6.1f} {one.predict:8.1f} {one.share:8.1%}"


if __name__ == "__main__":
    main()
