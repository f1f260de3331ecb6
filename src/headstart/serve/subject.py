"""What is to be served: a classifier, or a folder with runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.classifier.info import INFO_FILE
from headstart.errors import UsageError
from headstart.runs.history import find_runs
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
        UsageError: there is nothing at ``path``, or neither of the two.
        ClassifierError: the classifier is damaged.
    """
    if not path.exists():
        raise UsageError(f"There is no file or folder {path}. Give a classifier, or a folder of runs.")
    if path.is_file() or (path / INFO_FILE).is_file():
        return _classifier(path, limits, access)
    if not (runs := len(find_runs(path))):
        raise UsageError(
            f"{path} is no classifier and holds no runs. Give the folder 'classifier' of a finished run, or the folder "
            "with your runs."
        )
    return _runs(path, runs, limits, access)


def _classifier(path: Path, limits: Limits, access: Access) -> Subject:
    from headstart.classifier.predict import load
    from headstart.serve.app import create_app
    from headstart.serve.pages import page_routes

    classifier = load(path)
    app = create_app(classifier, limits, access, pages=page_routes(classifier, limits))
    network, names = classifier.info.provenance.backbone, classifier.classes
    shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    return Subject(app, f"{network} for {len(names)} classes: {shown}")


def _runs(path: Path, count: int, limits: Limits, access: Access) -> Subject:
    from headstart.serve.runs_app import create_runs_app

    app = create_runs_app(path, access, limits=limits)
    return Subject(app, f"{count} {'run' if count == 1 else 'runs'} in {path}")
