"""Wrong labels planted into the training images of real photographs stand first among the doubts."""

import csv
from pathlib import Path

import numpy as np
import pytest

from headstart import api
from headstart.api import Settings
from headstart.classifier.answering import Answering
from headstart.data.images import read_table
from headstart.data.split import split_table
from headstart.evaluation.evidence import Evidence
from headstart.recipe import Protocol
from headstart.study import study
from headstart.study.doubts import find_doubts

SHARED = Path(__file__).parents[2].parent / "shared"
FLOWERS, WEIGHTS = SHARED / "datasets" / "flower_photos", SHARED / "weights"
WRONG, FIRST, SEEDS = 40, 60, 3
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.slow,
    pytest.mark.skipif(not (FLOWERS.is_dir() and WEIGHTS.is_dir()), reason=f"photographs or weights: {SHARED}"),
]


def plant(table, splits, file, seed):
    """Write DATA with a random wrong label for 40 training images; return their paths."""
    random = np.random.default_rng(seed)
    chosen = set(random.choice(splits.train, WRONG, replace=False).tolist())
    wrong = set()
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", "split"])
        for place, row in enumerate(splits.rows):
            label, path = row.label, str(FLOWERS / row.path)
            if place in chosen:
                label = str(random.choice([one for one in table.classes if one != row.label]))
                wrong.add(path)
            writer.writerow([path, label, row.split])
    return wrong


def test_planted_wrong_labels_stand_among_the_first_doubts(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    table = read_table(FLOWERS)
    splits = split_table(table, Protocol())
    found = []

    def gather(case):
        found.append(find_doubts(case))
        return Evidence(), Answering()

    monkeypatch.setattr(study, "gather", gather)
    shares = []
    for seed in range(SEEDS):
        wrong = plant(table, splits, tmp_path / f"planted{seed}.csv", seed)
        settings = Settings(backbones=("mobilenet",), learning_rates=(1e-3,), epochs=15, seed=seed)
        api.compare(tmp_path / f"planted{seed}.csv", settings, out=tmp_path / f"run{seed}", weights_dir=WEIGHTS)
        doubts, rows = found[-1]
        assert WRONG <= doubts.estimated <= 3 * WRONG
        assert len(rows) >= 1.5 * doubts.estimated - 1
        shares.append(sum(row.path in wrong for row in rows[:FIRST]) / WRONG)
    assert np.mean(shares) >= 0.7, shares
