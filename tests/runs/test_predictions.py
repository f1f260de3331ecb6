import csv
import gzip

import numpy as np
import pytest

from headstart.errors import RunError
from headstart.runs import predictions
from headstart.runs.predictions import read_predictions, write_predictions
from headstart.runs.rows import PredictionBlock

CLASSES = ("daisy", 'rose, "red"', "tulip")


def block(candidate, part, *, fold=None, images=40, seed=0, dtype=np.float32):
    random = np.random.default_rng(seed)
    logits = (4 * random.normal(size=(images, 3))).astype(dtype)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return PredictionBlock(
        candidate=candidate,
        part=part,
        repeat=None if fold is None else 0,
        fold=fold,
        paths=tuple(f"{100 * random.random():.2f} % {n},{n}.jpg" for n in range(images)),
        labels=random.integers(0, 3, images),
        probabilities=(shares / shares.sum(axis=1, keepdims=True)).astype(dtype),
        logits=logits,
    )


BLOCKS = [
    block("mobilenet-lr0.001", "out_of_fold", fold=0, seed=1),
    block("mobilenet-lr0.001", "out_of_fold", fold=1, seed=2),
    block("mobilenet-lr0.001", "test", seed=3),
    block("100%,s-lr0.001", "test", seed=4, dtype=np.float64),
]


def same(read, written):
    names = ("candidate", "part", "repeat", "fold", "paths")
    assert [getattr(read, name) for name in names] == [getattr(written, name) for name in names]
    assert np.array_equal(read.labels, written.labels)
    assert np.allclose(read.probabilities, written.probabilities, rtol=0, atol=1e-9)
    assert np.allclose(read.logits, written.logits, rtol=1e-8, atol=0)


def test_blocks_come_back(tmp_path):
    path = tmp_path / "predictions.csv.gz"
    write_predictions(path, BLOCKS, CLASSES)
    read = list(read_predictions(path))
    assert len(read) == len(BLOCKS)
    for one, other in zip(read, BLOCKS, strict=True):
        same(one, other)
    assert np.array_equal(read[0].probabilities.astype(np.float32), BLOCKS[0].probabilities)
    assert np.abs(read[0].probabilities.sum(axis=1) - 1).max() < 1e-6


def test_columns_and_cells_are_those_of_the_design(tmp_path):
    path = tmp_path / "predictions.csv.gz"
    write_predictions(path, BLOCKS[:1], CLASSES)
    with gzip.open(path, "rt", newline="", encoding="utf-8") as stream:
        header, first, *_ = csv.reader(stream)
    names = [f"{kind}:{name}" for kind in "pz" for name in CLASSES]
    assert header == ["candidate", "part", "repeat", "fold", "path", "label", "predicted", *names]
    said = int(BLOCKS[0].probabilities[0].argmax())
    assert first[:5] == ["mobilenet-lr0.001", "out_of_fold", "0", "0", BLOCKS[0].paths[0]]
    assert first[5:7] == [CLASSES[int(BLOCKS[0].labels[0])], CLASSES[said]]


def test_equal_blocks_make_equal_bytes(tmp_path):
    for name in ("a.gz", "b.gz"):
        write_predictions(tmp_path / name, BLOCKS, CLASSES)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_slices_do_not_show_in_the_bytes(tmp_path, monkeypatch):
    many = [block("mobilenet", "test", images=5000), *BLOCKS]
    monkeypatch.setattr(predictions, "SLICE_ROWS", 10**6)
    write_predictions(tmp_path / "whole.gz", many, CLASSES)
    monkeypatch.setattr(predictions, "SLICE_ROWS", 7)
    write_predictions(tmp_path / "slices.gz", many, CLASSES)
    assert (tmp_path / "slices.gz").read_bytes() == (tmp_path / "whole.gz").read_bytes()
    assert [len(one.paths) for one in read_predictions(tmp_path / "slices.gz")] == [5000, 40, 40, 40, 40]


def test_only_what_is_asked_for_is_read(tmp_path):
    path = tmp_path / "predictions.csv.gz"
    write_predictions(path, BLOCKS, CLASSES)
    folds = list(read_predictions(path, candidates=["mobilenet-lr0.001"], parts=["out_of_fold"]))
    assert [(one.part, one.fold) for one in folds] == [("out_of_fold", 0), ("out_of_fold", 1)]
    assert [one.candidate for one in read_predictions(path, parts=["test"])] == ["mobilenet-lr0.001", "100%,s-lr0.001"]


def damage(path, how):
    content = path.read_bytes()
    if how == "cut short":
        path.write_bytes(content[: len(content) // 2])
    elif how == "not gzip":
        path.write_bytes(b"candidate,part\n")
    elif how == "bytes changed":
        path.write_bytes(content[:200] + bytes(50) + content[250:])
    else:
        path.write_bytes(gzip.compress(b"path,label\n"))


@pytest.mark.parametrize("how", ["cut short", "not gzip", "bytes changed", "other columns"])
def test_a_damaged_file_is_named(tmp_path, how):
    path = tmp_path / "predictions.csv.gz"
    write_predictions(path, BLOCKS, CLASSES)
    damage(path, how)
    with pytest.raises(RunError, match=r"predictions\.csv\.gz is damaged"):
        list(read_predictions(path))
