"""headstart: which CNN classifies your images best, with the evidence, and the classifier to keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.version import __version__

if TYPE_CHECKING:
    from headstart.api import Result, Settings, compare, demo, run
    from headstart.classifier.predict import Classifier, Prediction, load
    from headstart.estimator import ImageClassifier

__all__ = [
    "Classifier", "ImageClassifier", "Prediction", "Result", "Settings", "__version__",
    "compare", "demo", "load", "run",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import the Python door when it is first used, so that light commands stay light."""
    if name not in __all__:
        raise AttributeError(f"module 'headstart' has no attribute {name!r}")
    if name in ("Classifier", "Prediction", "load"):
        from headstart.classifier import predict

        return getattr(predict, name)
    if name == "ImageClassifier":
        from headstart import estimator

        return estimator.ImageClassifier
    from headstart import api

    return getattr(api, name)
