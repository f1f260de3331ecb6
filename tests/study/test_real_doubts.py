"""Wrong labels planted into the training images of real photographs are found, and clean labels left alone."""

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
WRONG, SEEDS = 40, 3
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.slow,
    pytest.mark.skipif(not (FLOWERS.is_dir() and WEIGHTS.is_dir()), reason=f"photographs or weights: {SHARED}"),
]


def plant(table, splits, file, seed, count):
    """Write DATA with a random wrong label for some training images; return their paths."""
    random = np.random.default_rng(seed)
    chosen = set(random.choice(splits.train, count, replace=False).tolist())
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


def test_planted_wrong_labels_are_found_and_clean_ones_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    table = read_table(FLOWERS)
    splits = split_table(table, Protocol())
    found = []

    def gather(case, *_, **others):
        found.append(find_doubts(case))
        return Evidence(), Answering()

    monkeypatch.setattr(study, "gather", gather)

    def doubts_of(count, seed):
        file = tmp_path / f"planted{count}-{seed}.csv"
        wrong = plant(table, splits, file, seed, count)
        settings = Settings(backbones=("mobilenet",), seed=seed)
        api.compare(file, settings, out=tmp_path / f"run{count}-{seed}", weights_dir=WEIGHTS)
        doubts, rows = found[-1]
        return doubts, [row.path in wrong for row in rows]

    clean, listed = doubts_of(0, 0)
    assert clean.estimated is None and len(listed) <= 0.015 * clean.images
    precisions, recalls = [], []
    for seed in range(SEEDS):
        doubts, right = doubts_of(WRONG, seed)
        assert 10 <= doubts.estimated <= WRONG
        precisions.append(np.mean(right))
        recalls.append(sum(right) / WRONG)
    assert np.mean(precisions) >= 0.6, precisions
    assert np.mean(recalls) >= 0.65, recalls
