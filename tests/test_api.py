"""The Python door, as README shows it."""

import numpy as np
import pytest
from PIL import Image

import headstart


def test_the_readme_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(10):
            pixels = random.integers(0, 128 if name == "cat" else 256, (10, 10, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    settings = headstart.Settings(backbones=("small_cnn",), learning_rates=(1e-2,), folds=2, epochs=2, image_size=8)
    result = headstart.compare("photos", settings)
    assert result.summary.best == "small_cnn-lr0.01"
    assert result.report.exists()
    assert result.folder.parent.name == "runs"
    assert (result.classifier / "classifier.json").exists()


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="nothing"):
        _ = headstart.nothing
