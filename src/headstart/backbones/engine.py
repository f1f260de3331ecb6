"""Keras, imported once and quietly."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from headstart.errors import MissingExtraError


def keras_module() -> Any:
    """Return the module ``keras``, imported without the remarks that its backend writes to the terminal.

    Raises:
        MissingExtraError: Keras or its backend is not installed.
    """
    if "keras" in sys.modules:
        return sys.modules["keras"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _held_back_stderr():
        try:
            import keras
        except ImportError as error:
            raise MissingExtraError(error.name or "keras", "cpu") from error
    return keras


@contextlib.contextmanager
def _held_back_stderr() -> Iterator[None]:
    """Keep what compiled libraries write to the standard error; show it only if the block fails.

    TensorFlow greets before it reads ``TF_CPP_MIN_LOG_LEVEL``, below Python's ``sys.stderr``.
    """
    try:
        original = os.dup(2)
    except OSError:
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(original, held.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)
