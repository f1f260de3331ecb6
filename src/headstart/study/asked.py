"""What a protocol asks for that only the images can allow: folds for nesting, classes for targets, a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.data.listing import files_below
from headstart.data.split import Splits
from headstart.errors import UsageError, did_you_mean
from headstart.evaluation.operating import Cost
from headstart.recipe import Protocol
from headstart.recipe.parts import DECISION

FEWEST_FOLDS = 3


def check_nested(protocol: Protocol, splits: Splits) -> None:
    """Refuse a nested cross-validation that the rounds do not allow.

    Raises:
        UsageError: there is a hold-out, or there are fewer than 3 folds, of which small classes may be the reason.
    """
    if not protocol.nested or (splits.kind == "folds" and splits.folds >= FEWEST_FOLDS):
        return
    received = f"{splits.folds} folds" if splits.kind == "folds" else "a hold-out"
    small = splits.kind == "folds" and protocol.folds >= FEWEST_FOLDS
    more = "Add images" if small else f"Use --folds {FEWEST_FOLDS} or more"
    raise UsageError(
        f"nested cross-validation needs at least {FEWEST_FOLDS} folds: one judges, one validates, the others train. "
        f"Received: {received}. {more}, or leave nested out."
    )


def unknown_images(folder: str) -> tuple[Path, ...]:
    """Return the files below the folder of images that belong to no class; none without a folder."""
    if not folder:
        return ()
    path = Path(folder)
    if not path.is_dir():
        raise UsageError(f"There is no folder {folder} of unknown images. Name a folder with images of no class.")
    files = tuple(file for file in files_below(path) if file.is_file())
    if not files:
        raise UsageError(f"The folder {folder} of unknown images is empty. Put images of no class into it.")
    return files


@dataclass(frozen=True, slots=True)
class Target:
    """A share of ``kind`` (``precision`` or ``recall``) that the answers ``class_`` must reach."""

    class_: str
    kind: str
    share: float


def check_decisions(decide: Sequence[str], classes: Sequence[str]) -> None:
    """Check targets and costs against the classes that there are.

    Raises:
        UsageError: a class is unknown, or a right answer is given a cost (every problem, one line each).
    """
    problems = [problem for text in decide for problem in _problems(text, classes)]
    if problems:
        raise UsageError("\n".join(problems))


def _problems(text: str, classes: Sequence[str]) -> Iterator[str]:
    kind, name, _ = _read(text)
    pair = _pair(name, classes) if kind == "cost" else (name, "")
    for one in dict.fromkeys(pair if kind == "cost" else pair[:1]):
        if one not in classes:
            hint = did_you_mean(one, classes)
            yield f"{text!r}: there is no class {one!r}.{hint} The classes are {', '.join(classes)}."
    if kind == "cost" and pair[0] == pair[1]:
        yield f"{text!r}: an answer that is right costs nothing. Name two classes, TRUE:PREDICTED."


def _read(text: str) -> tuple[str, str, float]:
    match = DECISION.fullmatch(text)
    assert match, "a recipe's texts were checked when it was made"
    return match[1], match[2], float(match[3])


def _pair(name: str, classes: Sequence[str]) -> tuple[str, str]:
    """Return the true and the answered class; a colon may be part of a name."""
    places = [place for place, letter in enumerate(name) if letter == ":"]
    pairs = [(name[:place], name[place + 1 :]) for place in places]
    return max(pairs, key=lambda pair: (pair[0] in classes) + (pair[1] in classes))


def targets_and_costs(decide: Sequence[str], classes: Sequence[str]) -> tuple[tuple[Target, ...], tuple[Cost, ...]]:
    """Return what the texts of ``protocol.decide`` ask for."""
    read = [_read(text) for text in decide]
    targets = tuple(Target(name, kind, value) for kind, name, value in read if kind != "cost")
    costs = tuple(Cost(*_pair(name, classes), value) for kind, name, value in read if kind == "cost")
    return targets, costs
