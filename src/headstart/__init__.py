"""headstart: which CNN classifies your images best, with the evidence, and the classifier to keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.version import __version__

if TYPE_CHECKING:
    from headstart.api import Result, Settings, compare, demo

__all__ = ["Result", "Settings", "__version__", "compare", "demo"]


def __getattr__(name: str) -> Any:
    """Import the Python door when it is first used, so that light commands stay light."""
    if name not in __all__:
        raise AttributeError(f"module 'headstart' has no attribute {name!r}")
    from headstart import api

    return getattr(api, name)
