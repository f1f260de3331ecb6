"""The Python that docs/python.md and examples/ show is run, on tiny data."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import headstart
from headstart.data import decode

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(
    r"^```python\n(.*?)^```", (ROOT / "docs" / "python.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
)

# What makes a page's example small: a network from scratch on tiny images instead of a pretrained one.
SMALL = {
    'headstart.Settings(backbones=("mobilenet",))': (
        'headstart.Settings(backbones=("small_cnn",), learning_rates=(1e-2,), folds=2, epochs=1, image_size=8)'
    ),
    'ImageClassifier("mobilenet")': 'ImageClassifier("small_cnn", weights="random", image_size=8, epochs=2)',
    "runs/photos-1a2b3c/classifier": "classifier",
    "cv=5": "cv=2",
    "(10, 480, 640, 3)": "(3, 48, 64, 3)",
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with photographs of two classes, a new one, and a classifier."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for number in range(24):
        path = Path("photos") / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 128, (12, 12, 3), np.uint8) + np.uint8(100 * (number % 2))).save(path)
    Path("new.jpg").write_bytes(decode.jpeg(np.full((20, 30, 3), 200, np.uint8)))
    return tmp_path


@pytest.fixture
def classifier(place):
    files = sorted(Path("photos").glob("*/*"))
    estimator = headstart.ImageClassifier("small_cnn", weights="random", image_size=8, head="logistic")
    return estimator.fit(files, [file.parent.name for file in files]).save("classifier")


def shortened(block):
    for text, small in SMALL.items():
        block = block.replace(text, small)
    return block


def test_the_first_example_has_five_lines():
    assert len([line for line in BLOCKS[0].splitlines() if line.strip()]) <= 5
    assert all(any(text in block for block in BLOCKS) for text in SMALL)


def test_from_photographs_to_an_answer(place, capsys):
    exec(shortened(BLOCKS[0]), {})
    assert capsys.readouterr().out.strip() in ("cat", "dog", "unknown")


def test_a_classifier_on_arrays(classifier, capsys):
    exec(shortened(BLOCKS[1]), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and len(set(lines)) == 1


def test_a_search(place, capsys):
    exec(shortened(BLOCKS[2]), {})
    score, best = capsys.readouterr().out.split(maxsplit=1)
    assert 0.5 <= float(score) <= 1 and "head" in best
    assert headstart.load("classifier").classes == ("cat", "dog")


def example(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_sorting_photographs(classifier, place, capsys):
    Path("photos/bad.jpg").write_text("no picture")
    for last in ("24 copied, 0 have an equal copy there", "0 copied, 24 have an equal copy there"):
        example("sort_photographs").main("classifier", "photos", "sorted")
        out = capsys.readouterr().out
        assert out.splitlines()[-1] == last and "bad.jpg: text, not an image" in out
    assert len(list(Path("sorted").glob("*/*.png"))) == 24


def test_comparing_learning_rates(place, capsys):
    example("learning_rates").main("photos", "small_cnn", "random")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["0.1", "0.01", "0.001"]


def test_every_example_is_tested():
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == {"sort_photographs", "learning_rates"}


def test_the_python_door_has_what_it_says():
    for name in headstart.__all__:
        assert getattr(headstart, name) is not None
