"""The command lines that the page proposes, as the user would type them where the study was started."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from pathlib import PurePath


def typed_folder(command: str, name: str) -> str:
    """Return the run folder as its user typed it, or the default one; empty where the command does not tell.

    Args:
        command: the command line of the study; empty where Python started it.
        name: what the folder is called now. One that was renamed or copied since is not where the command says.
    """
    if not command:
        return ""
    folder = _value(_words(command)[0], "--out") or str(PurePath("runs", name))
    return str(PurePath(folder)) if PurePath(folder).name == name else ""


def quoted(*parts: str) -> str:
    """Return a path for a shell."""
    return shlex.quote(str(PurePath(*parts)))


def correcting_command(command: str, folder: str, doubts: str) -> str:
    """Return the command line that runs a comparison again with its corrected list; empty for other commands.

    An earlier ``--out`` and ``--drop`` give way to the new ones: the new list says what the old one said.

    Args:
        command: the command line of the study.
        folder: the run folder as it would be typed.
        doubts: the name of the list in it.
    """
    options, rest = _words(command)
    if options[:2] != ["headstart", "compare"]:
        return ""
    options = _without(options, ("--out", "--drop"))
    new = ["--drop", str(PurePath(folder, doubts)), "--out", f"{PurePath(folder)}-corrected"]
    return shlex.join([*options, *new, *rest])


def _words(command: str) -> tuple[list[str], list[str]]:
    """Return the words of a command line, and those from ``--`` on, which are no options."""
    words = shlex.split(command)
    end = words.index("--") if "--" in words else len(words)
    return words[:end], words[end:]


def _value(words: list[str], option: str) -> str:
    """Return the last value of an option; empty where it is not there."""
    found = ""
    for word, after in zip(words, [*words[1:], ""], strict=True):
        if word == option:
            found = after
        elif word.startswith(f"{option}="):
            found = word.removeprefix(f"{option}=")
    return found


def _without(words: list[str], options: Collection[str]) -> list[str]:
    """Return the words without some options and their values."""
    kept = []
    skip = False
    for word in words:
        if not skip and word not in options and word.partition("=")[0] not in options:
            kept.append(word)
        skip = not skip and word in options
    return kept
