import importlib
import subprocess
import sys

import pytest

from headstart.backbones import engine
from headstart.errors import MissingExtraError


def test_keras_comes_without_a_word():
    code = (
        "from headstart.backbones.engine import keras_module, make_deterministic\n"
        "keras = keras_module(); make_deterministic()\n"
        "model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])\n"
        "model.compile('sgd', 'mse'); model.fit(keras.ops.ones((4, 2)), keras.ops.ones((4, 1)), verbose=0)\n"
        "print(keras.backend.backend())"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.split() == ["tensorflow"]


@pytest.mark.parametrize(("backend", "extra"), [("tensorflow", "cpu"), ("torch", "torch"), ("jax", "jax")])
def test_what_is_missing_is_named_with_its_extra(monkeypatch, backend, extra):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {backend!r}", name=backend)

    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", backend)
    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(MissingExtraError, match=rf"{backend} is not installed.*headstart\[{extra}\]"):
        engine.keras_module()
