"""Image table -> train, validation and test, and the rounds in which candidates are judged."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.data.assignment import Unit, assign
from headstart.data.groups import content_group
from headstart.data.listing import shown
from headstart.data.table import ImageRow, ImageTable, natural_key
from headstart.errors import DataError
from headstart.recipe import Protocol

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """One training and its validation: ascending positions in ``Splits.rows``. ``repeat`` and ``fold`` count from 0."""

    repeat: int
    fold: int
    train: Indices
    validation: Indices


@dataclass(frozen=True, slots=True, eq=False)
class Splits:
    """All rows of the table with their split, and the rounds.

    ``train``, ``validation`` and ``test`` are ascending positions in ``rows``; ``validation`` is empty unless given
    validation images are the hold-out. ``kind`` is ``folds`` or ``holdout``. ``notes`` are plain sentences on what was
    decided.
    """

    rows: tuple[ImageRow, ...]
    train: Indices
    validation: Indices
    test: Indices
    rounds: tuple[Round, ...]
    kind: str
    notes: tuple[str, ...]


def split_table(table: ImageTable, protocol: Protocol, *, folds_asked: bool = False) -> Splits:
    """Split a table by the protocol and by what is given.

    Given train, validation and test are kept; validation is the hold-out, unless ``folds_asked``: then it joins train
    for the folds. Where no test is given, it is cut from train. Without given validation the rounds are folds in train,
    or for ``protocol.kind == "holdout"`` one hold-out per repeat, cut from train.

    Groups and duplicates never fall on two sides of what is cut here, and a picture under two labels never into a test
    set cut here. Assignments are those of ``assignment``: seeded, stratified, independent of paths and order.

    Raises:
        DataError: train is missing, or a class has too few images.
    """
    parts = _given_parts(table)
    notes: list[str] = []
    folds = folds_asked or (protocol.kind == "folds" and "validation" not in parts)
    if folds and "validation" in parts:
        parts = ["train" if part == "validation" else part for part in parts]
        notes.append("The given validation images joined the training images for the folds.")
    pieces = protocol.folds if folds else 1 if "validation" in parts else 2
    _check_sizes(table, parts, folds=folds, pieces=pieces)
    if "test" not in parts:
        parts = _with_test(table, parts, protocol, leave=pieces)
        notes.append(_test_note(table, parts))
    rounds = tuple(_rounds(table, parts, protocol, folds=folds))
    _check_classes(table, parts, rounds)
    notes += _absent_notes(table, parts)
    rows = tuple(dataclasses.replace(row, split=part) for row, part in zip(table.rows, parts, strict=True))
    kind = "folds" if folds else "holdout"
    train, validation, test = (_positions(parts, part) for part in ("train", "validation", "test"))
    return Splits(rows, train, validation, test, rounds, kind, tuple(notes))


def _given_parts(table: ImageTable) -> list[str]:
    """Return the part of every row before anything is cut; without given splits all readable images are train."""
    given = {row.split for row in table.ok} - {""}
    lost = {row.split for row in table.rows} - {""} - given
    if lost:
        raise DataError(f"None of the {shown(sorted(lost))} images of {table.location} is readable. Add readable ones.")
    if given and "train" not in given:
        raise DataError(f"{table.location} gives {shown(sorted(given))} images but none for train. Add some.")
    return [(row.split or "train") if row.ok else "excluded" for row in table.rows]


def _positions(parts: Sequence[str], wanted: str) -> Indices:
    return np.array([index for index, part in enumerate(parts) if part == wanted], dtype=np.int64)


def _units(table: ImageTable, parts: Sequence[str]) -> list[Unit]:
    """Return what stays together among the training rows."""
    together: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(table.rows):
        if parts[index] == "train":
            together[_unit_key(table, row)].append(index)
    return [Unit(key, _majority(table, rows), tuple(rows)) for key, rows in together.items()]


def _unit_key(table: ImageTable, row: ImageRow) -> str:
    return row.group or content_group(row.sha256)


def _majority(table: ImageTable, rows: Sequence[int]) -> str:
    counts = Counter(table.rows[index].label for index in rows)
    return min(counts, key=lambda label: (-counts[label], natural_key(label)))


def _strata(units: Sequence[Unit]) -> list[list[Unit]]:
    """Return the units of each majority label."""
    strata: dict[str, list[Unit]] = defaultdict(list)
    for unit in units:
        strata[unit.label].append(unit)
    return list(strata.values())


def _with_test(table: ImageTable, parts: list[str], protocol: Protocol, *, leave: int) -> list[str]:
    """Return the parts after the test set was cut from train, with at least ``leave`` units of a class left."""
    barred = _barred_from_test(table, parts)
    result = list(parts)
    for stratum in _strata(_units(table, parts)):
        eligible = [unit for unit in stratum if unit.key not in barred]
        least = (1, max(0, leave - (len(stratum) - len(eligible))))
        fractions = (protocol.test_fraction, 1 - protocol.test_fraction)
        chosen = assign(eligible, fractions, minimum=least, seed=protocol.seed, purpose="test")
        for unit, part in zip(eligible, chosen, strict=True):
            for index in unit.rows if part == 0 else ():
                result[index] = "test"
    return result


def _barred_from_test(table: ImageTable, parts: Sequence[str]) -> set[str]:
    """Return the units with a picture under two labels, and those that also have images in the given validation."""
    contradictory = table.under_two_labels()
    return {
        _unit_key(table, row)
        for row, part in zip(table.rows, parts, strict=True)
        if row.ok and (part != "train" or row.path in contradictory)
    }


def _rounds(table: ImageTable, parts: Sequence[str], protocol: Protocol, *, folds: bool) -> Iterator[Round]:
    """Yield the rounds: folds, the given hold-out, or hold-outs cut from train."""
    train = _positions(parts, "train")
    if not folds and "validation" in parts:
        yield Round(0, 0, train, _positions(parts, "validation"))
        return
    strata = _strata(_units(table, parts))
    count = protocol.folds
    fractions = [1 / count] * count if folds else [protocol.holdout, 1 - protocol.holdout]
    for repeat in range(protocol.repeats):
        purpose = f"fold:{repeat}" if folds else f"validation:{repeat}"
        chosen = np.full(len(parts), -1)
        for stratum in strata:
            least = [1] * len(fractions)
            places = assign(stratum, fractions, minimum=least, seed=protocol.seed, purpose=purpose)
            for unit, part in zip(stratum, places, strict=True):
                chosen[list(unit.rows)] = part
        for fold in range(count if folds else 1):
            yield Round(repeat, fold, train[chosen[train] != fold], train[chosen[train] == fold])


def _check_sizes(table: ImageTable, parts: Sequence[str], *, folds: bool, pieces: int) -> None:
    """Raise DataError unless every class has a unit for each of the ``pieces`` of train and for a test set to cut."""
    cut = "test" not in parts
    images = Counter(row.label for row, part in zip(table.rows, parts, strict=True) if part == "train")
    if absent := [name for name in table.classes if not images[name]]:
        raise DataError(f"There are no training images of class {shown(absent)}. Add some, or leave the class out.")
    units = Counter(label for unit in _units(table, parts) for label in {table.rows[i].label for i in unit.rows})
    small = [name for name in table.classes if units[name] < pieces + cut]
    if not small:
        return
    apart = [f" in {units[name]} groups" if units[name] < images[name] else "" for name in small]
    sizes = [f"{name!r} ({images[name]} images{groups})" for name, groups in zip(small, apart, strict=True)]
    use = f"{pieces} folds" if folds else "a hold-out" if pieces > 1 else "training"
    feasible = min(units[name] for name in small) - cut
    fewer = f"Use --folds {feasible} or --holdout 0.2, add" if folds and feasible > 1 else "Add"
    raise DataError(
        f"Too few training images in class {shown(sizes)}: {use}{' and a test set' if cut else ''} need at least "
        f"{pieces + cut} {'groups' if any(apart) else 'images'} per class. {fewer} images, or leave the class out."
    )


def _check_classes(table: ImageTable, parts: Sequence[str], rounds: Sequence[Round]) -> None:
    """Raise DataError if groups with several labels have kept a class out of a training or of the test set."""
    cut_test = not any(row.split == "test" for row in table.ok)
    sides = [("the test set", _positions(parts, "test"))] if cut_test else []
    sides += [(f"the training images of round {number + 1}", round_.train) for number, round_ in enumerate(rounds)]
    for name, positions in sides:
        absent = sorted(set(table.classes) - {table.rows[index].label for index in positions}, key=natural_key)
        if absent:
            raise DataError(
                f"No image of class {shown(absent)} could be put into {name}: its images share groups with other "
                "classes, or are pictures under two labels. Use smaller groups, or add images."
            )


def _test_note(table: ImageTable, parts: Sequence[str]) -> str:
    cut = sum(part == "test" for part in parts)
    given = any(row.split for row in table.ok)
    why = ", because no test images were given" if given else ""
    return f"A test set of {cut:,} of {len(table.ok):,} images was cut from the training images{why}."


def _absent_notes(table: ImageTable, parts: Sequence[str]) -> Iterator[str]:
    """Say which classes a given validation or test set lacks."""
    for wanted in ("validation", "test"):
        there = {row.label for row, part in zip(table.rows, parts, strict=True) if part == wanted}
        absent = [name for name in table.classes if name not in there]
        if there and absent:
            yield f"The {wanted} images show no {shown(absent)}."
