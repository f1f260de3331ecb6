"""Compare learning rates on a folder of photographs, one folder per class, with scikit-learn's tools.

python examples/learning_rates.py PHOTOS [BACKBONE]
"""

from __future__ import annotations

import sys
from pathlib import Path

from sklearn.model_selection import cross_val_score

import headstart


def main(photos: str, backbone: str = "mobilenet", weights: str = "imagenet") -> None:
    files = sorted(path for path in Path(photos).glob("*/*") if path.is_file())
    labels = [file.parent.name for file in files]
    for rate in (1e-1, 1e-2, 1e-3):
        model = headstart.ImageClassifier(backbone, weights=weights, learning_rate=rate, epochs=10)
        scores = cross_val_score(model, files, labels, cv=3)
        print(f"{rate:g}  {scores.mean():.1%}  +- {scores.std():.1%}")


if __name__ == "__main__":
    main(*sys.argv[1:])
