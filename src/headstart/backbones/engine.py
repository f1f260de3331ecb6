"""The door to Keras: the only place that decides how Keras and its backend are loaded."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
from collections.abc import Iterator
from types import ModuleType

from headstart.errors import MissingExtraError

EXTRA_OF_BACKEND = {"tensorflow": "cpu", "torch": "torch", "jax": "jax"}


def backend_name() -> str:
    """Return the Keras backend: ``KERAS_BACKEND``, else TensorFlow."""
    return os.environ.get("KERAS_BACKEND", "tensorflow")


def keras_module() -> ModuleType:
    """Import Keras without a word on the terminal. The backend is TensorFlow unless ``KERAS_BACKEND`` names another.

    Raises:
        MissingExtraError: Keras or its backend is not installed.
    """
    if "keras" in sys.modules:
        return sys.modules["keras"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # it advises against tracing several models, which is what a comparison does
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    backend = os.environ["KERAS_BACKEND"] = backend_name()
    try:
        with _without_stderr():
            return importlib.import_module("keras")
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "keras", EXTRA_OF_BACKEND.get(backend, "cpu")) from error


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """Send standard error nowhere for a while: TensorFlow's libraries write there before they read any setting."""
    sys.stderr.flush()
    terminal = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        os.close(nowhere)
        os.close(terminal)


def make_deterministic() -> None:
    """Let Keras compute the same bits each time; costs nothing measurable on a CPU."""
    keras = keras_module()
    if keras.backend.backend() == "tensorflow":
        tensorflow = importlib.import_module("tensorflow")
        # Without a seed, TensorFlow refuses what draws at random once it is deterministic.
        tensorflow.random.set_seed(0)
        tensorflow.config.experimental.enable_op_determinism()
