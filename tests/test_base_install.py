"""A classifier made here answers the same in a fresh environment that holds the base install alone."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.classifier import bundle, predict

from .classifier.conftest import save_birds

ROOT = Path(__file__).parents[1]
ASK = """
import importlib.util, json, pathlib, sys
import headstart

extras = ("keras", "tensorflow", "scipy", "sklearn", "matplotlib", "jinja2", "starlette")
photos = sorted(pathlib.Path(sys.argv[2]).iterdir())
rows = {name: headstart.load(name).probabilities(photos).tolist() for name in sys.argv[3:]}
answers = [one.answer for one in headstart.load(sys.argv[3]).predict(photos)]
found = [name for name in extras if importlib.util.find_spec(name)]
pathlib.Path(sys.argv[1]).write_text(json.dumps({"rows": rows, "answers": answers, "found": found}))
"""


@pytest.fixture(scope="module")
def fresh_python(tmp_path_factory):
    """Return the Python of a new environment with the base install."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    command = [python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", ROOT]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = f"the base install cannot be had: {done.stderr.strip()[-300:]}"
        # nobody shall believe that it was tried where everything else can be installed
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return python


@pytest.fixture
def photos(tmp_path):
    """Twenty pictures of many sizes, as JPEG, PNG and WebP."""
    random = np.random.default_rng(0)
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(20):
        coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), np.uint8))
        size = random.integers(20, 400, 2).tolist()
        coarse.resize(size, Image.Resampling.BICUBIC).save(
            folder / f"{number:02d}.{('jpg', 'png', 'webp')[number % 3]}"
        )
    return folder


@pytest.mark.slow
def test_the_base_install_alone_gives_the_same_probabilities(fresh_python, photos, tmp_path):
    folder = save_birds(tmp_path / "classifier")
    packed = bundle.pack(folder, tmp_path / "classifier.zip")
    paths, answer = sorted(photos.iterdir()), tmp_path / "answer.json"
    command = [fresh_python, "-I", "-c", ASK, answer, photos, folder, packed]
    subprocess.run(command, check=True, cwd=tmp_path)
    told = json.loads(answer.read_text())
    here = predict.load(folder)
    assert told["found"] == []
    assert told["answers"] == [one.answer for one in here.predict(paths)]
    expected = here.probabilities(paths)
    assert len(set(expected.argmax(axis=1).tolist())) > 1, "the pictures are of several classes"
    for name in (folder, packed):
        np.testing.assert_allclose(told["rows"][str(name)], expected, atol=1e-5)
