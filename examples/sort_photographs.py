"""Copy the photographs of a folder into one folder per answer, and list those the classifier is not sure of.

python examples/sort_photographs.py CLASSIFIER PHOTOS SORTED
"""

from __future__ import annotations

import sys
from pathlib import Path

import headstart
from headstart.classifier.sorting import Sorter

SURE = 0.8


def main(classifier: str, photos: str, into: str) -> None:
    model = headstart.load(classifier)
    files = sorted(path for path in Path(photos).rglob("*") if path.is_file())
    sorter = Sorter(Path(into), model.classes)
    for prediction in sorter.sort(model.stream(files)):
        if prediction.error:
            print(f"{prediction.path}: {prediction.error}")
        elif prediction.ranked[0].probability < SURE:
            first, second = prediction.top(2)
            print(
                f"{prediction.path}: {first.class_} {first.probability:.0%} or {second.class_} {second.probability:.0%}"
            )
    print(f"{sorter.copied} copied, {sorter.there} have an equal copy there")


if __name__ == "__main__":
    main(*sys.argv[1:])
