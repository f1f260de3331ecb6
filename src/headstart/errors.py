"""Every error that a user can meet.

HeadstartError                 exit 1; the message is one line that says what to do next
├── UsageError                 exit 2: a wrong option, name or combination
├── MissingExtraError          a package of an extra is not installed
├── DataError                  the folder or table of images cannot be used
│   └── ImageError             one image cannot be read; it is set aside by name and reason
├── WeightsError               pretrained weights are missing or are not what they should be
├── CacheError                 the cache folder cannot be used
├── RunError                   a run folder is missing, incomplete or belongs to something else
├── StudyError                 the study cannot go on (every candidate failed, ...)
├── ClassifierError            a classifier folder is none, or is damaged
├── ExportError                a classifier in another format does not say what it says, so it is not written
└── ReportError                a page cannot be written or printed where it was asked for
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HeadstartError(Exception):
    """Base of all errors that are shown to the user without a traceback."""

    exit_code = 1


class UsageError(HeadstartError):
    """A wrong option, name or combination of options."""

    exit_code = 2


class MissingExtraError(HeadstartError):
    """A package that belongs to an extra is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed. Install it with: pip install 'headstart[{extra}]'")


class DataError(HeadstartError):
    """The folder or table of images cannot be used."""


class ImageError(DataError):
    """One image cannot be read. The message is the short reason, without the file's name."""


class WeightsError(HeadstartError):
    """Pretrained weights are missing, damaged or do not fit the network."""


class CacheError(HeadstartError):
    """The cache folder cannot be used."""


class RunError(HeadstartError):
    """A run folder is missing, incomplete or belongs to something else."""


class StudyError(HeadstartError):
    """The study cannot go on."""


class ReportError(HeadstartError):
    """A page cannot be written or printed where it was asked for."""


class ClassifierError(HeadstartError):
    """A classifier folder is none, or is damaged."""


class ExportError(HeadstartError):
    """A classifier in another format does not say what the classifier says, or cannot be written in that format."""


def did_you_mean(received: str, allowed: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest allowed word, or an empty string."""
    near = difflib.get_close_matches(received, list(allowed), n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""


def visible(text: str) -> str:
    """Return names and sentences for one line of a terminal.

    What could break the line or command the terminal is written as Python does: ``\\n``, ``\\x1b``, ``\\udce9``.
    """
    return text if text.isprintable() else "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)
