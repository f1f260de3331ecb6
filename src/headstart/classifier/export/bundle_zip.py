"""The bundle itself as one zip file: nothing is converted, and headstart reads it as it reads the folder."""

from __future__ import annotations

from pathlib import Path

from headstart.classifier.bundle import Bundle, open_bundle, pack
from headstart.classifier.export.comparison import Reference, Runtime
from headstart.classifier.export.formats import Calibration, Format
from headstart.classifier.export.note import Note
from headstart.classifier.export.packages import version_of
from headstart.errors import UsageError


def check_packages(int8: bool) -> None:
    """Nothing beyond the base install is needed."""


def write(bundle: Bundle, file: Path, note: Note, calibration: Calibration) -> None:
    """Pack a bundle's folder.

    Raises:
        UsageError: it is a zip file already.
    """
    if bundle.path.is_file():
        raise UsageError(f"{bundle.path} is one zip file already. Copy it.")
    pack(bundle.path, file)


def open_file(file: Path) -> Runtime:
    """Open a packed bundle as ``headstart predict`` does."""
    return Runtime(version_of("openvino"), False, Reference(open_bundle(file)).run)


FORMAT = Format("zip", ".zip", check_packages, write, open_file, input="image files of any size, with headstart")
