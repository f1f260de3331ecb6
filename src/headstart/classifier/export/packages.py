"""The packages that exporting needs: imported when they are, named when they are missing, and kept quiet."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator

from headstart.backbones.engine import backend_name, keras_module
from headstart.errors import ExportError, MissingExtraError

EXTRA = "export"

_TALKERS = ("tensorflow", "tf2onnx", "nncf", "onnxruntime", "keras", "absl")


@contextlib.contextmanager
def needed(package: str) -> Iterator[None]:
    """Say which extra a missing package belongs to, around the import of it."""
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(package, EXTRA) from error


def version_of(package: str) -> str:
    """Return a package's name and version in one text."""
    return f"{package} {importlib.metadata.version(package)}"


def need_tensorflow(to: str) -> None:
    """Raise where Keras computes with another backend than the converters can read.

    Raises:
        ExportError: the backend is another one.
        MissingExtraError: Keras or TensorFlow is not installed.
    """
    keras_module()
    if backend_name() != "tensorflow":
        raise ExportError(
            f"Export to {to} needs Keras on TensorFlow. Received: KERAS_BACKEND={backend_name()}. "
            "Run it again with KERAS_BACKEND=tensorflow."
        )


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Let converters work without a word: no warnings, log lines or bars of theirs on the terminal."""
    loggers = [logging.getLogger(name) for name in _TALKERS]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), _without_stderr():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """Send standard error nowhere, that of compiled libraries too."""
    sys.stderr.flush()
    terminal, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        os.dup2(terminal, 2)
        os.close(nowhere)
        os.close(terminal)
