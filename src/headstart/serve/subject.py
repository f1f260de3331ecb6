"""What is to be served: a classifier, or a folder with runs."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headstart import storage
from headstart.errors import UsageError
from headstart.serve.limits import Access, Limits

if TYPE_CHECKING:
    from starlette.applications import Starlette


@dataclass(frozen=True, slots=True)
class Subject:
    """An application, and in one line what it shows."""

    app: Starlette
    description: str


def read_subject(path: Path, limits: Limits, access: Access) -> Subject:
    """Return the application for a classifier's folder or zip file, or for a run or a folder of runs.

    Raises:
        UsageError: there is nothing at ``path``.
        ClassifierError: it is neither, or a damaged classifier.
    """
    if not path.exists():
        raise UsageError(f"There is no file or folder {path}. Give a classifier, or a folder of runs.")
    return _runs(path, access) if _has_runs(path) else _classifier(path, limits, access)


def _has_runs(path: Path) -> bool:
    if not path.is_dir():
        return False
    return any((folder / storage.RUN_MARKER).is_file() for folder in (path, *path.iterdir()))


def _classifier(path: Path, limits: Limits, access: Access) -> Subject:
    from headstart.classifier.predict import load
    from headstart.serve.app import create_app
    from headstart.serve.pages import page_routes

    classifier = load(path)
    app = create_app(classifier, limits, access, pages=page_routes(classifier))
    network, names = classifier.info.provenance.backbone, classifier.classes
    shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    return Subject(app, f"{network} for {len(names)} classes: {shown}")


def _runs(path: Path, access: Access) -> Subject:
    if not importlib.util.find_spec("headstart.serve.runs_app"):
        raise UsageError(f"{path} holds runs. Give the folder 'classifier' of one of them.")
    module = importlib.import_module("headstart.serve.runs_app")
    return Subject(module.create_runs_app(path, access), f"the runs in {path}")
