"""Image table -> train, validation and test, and the rounds in which candidates are judged."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.data.assignment import SMALL_SET, TOLERANCE, Unit, assign, position
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

    @property
    def folds(self) -> int:
        """The number of rounds of the first repeat: of small classes there may be fewer than were asked for."""
        return sum(one.repeat == 0 for one in self.rounds)


JOINED = "The given validation images joined the training images for the folds."
SEALED = (
    "The given validation images are the sealed test set; candidates are judged by folds of the training images. "
    "--pool (of a recipe: --set data.pool=true) puts all together and cuts anew."
)


def split_table(table: ImageTable, protocol: Protocol, *, folds_asked: bool = False) -> Splits:
    """Split a table by the protocol and by what is given.

    Given train, validation and test are kept; validation is the hold-out, unless ``folds_asked``: then it joins train
    for the folds. Where folds are to be made and no test is given, given validation images are the test set; otherwise
    a missing test set is cut from train. Without given validation the rounds are folds in train, or for
    ``protocol.kind == "holdout"`` one hold-out per repeat, cut from train.

    Groups and duplicates never fall on two sides of what is cut here, and a picture under two labels never into a test
    set cut here. Assignments are those of ``assignment``: seeded, stratified, independent of paths and order. A class
    with fewer units (groups, or images alone) than folds is missing in the validation of some; one with a single unit
    is always trained on. Rounds that would validate nothing are left out.

    Raises:
        DataError: train is missing, a class has one image in all, or there is nothing to validate or test with.
    """
    parts = _given_parts(table)
    notes: list[str] = []
    folds = folds_asked or (protocol.kind == "folds" and not {"validation", "test"} <= set(parts))
    if folds and "validation" in parts:
        joins = "test" in parts
        parts = [("train" if joins else "test") if part == "validation" else part for part in parts]
        notes.append(JOINED if joins else SEALED)
    _check_sizes(table, parts)
    cut = "test" not in parts
    if cut:
        pieces = protocol.folds if folds else 1 if "validation" in parts else 2
        parts = _with_test(table, parts, protocol, pieces=pieces)
        notes.append(_test_note(table, parts))
    rounds = tuple(_rounds(table, parts, protocol, folds=folds))
    _check_rounds(table, parts, rounds, cut=cut)
    notes += _absent_notes(table, parts)
    if "validation" not in parts:
        notes += _small_notes(table, rounds, protocol, folds=folds)
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


def _tolerance(table: ImageTable) -> float:
    return 0.0 if len(table.ok) < SMALL_SET else TOLERANCE


def _with_test(table: ImageTable, parts: list[str], protocol: Protocol, *, pieces: int) -> list[str]:
    """Return the parts after the test set was cut from train, which is to be cut in ``pieces`` later.

    Every class keeps two units for them (one is enough for one piece). A class of two units gives one only where the
    test set would be smaller than the share that was asked for, in the order of the hash that places it.
    """
    barred, tolerance = _barred_from_test(table, parts), _tolerance(table)
    tested: list[Unit] = []
    reserve: list[Unit] = []
    for stratum in _strata(_units(table, parts)):
        eligible = [unit for unit in stratum if unit.key not in barred]
        if len(stratum) > min(2, pieces):
            tested += _tested(eligible, stratum, protocol, pieces=pieces, tolerance=tolerance)
        elif len(stratum) == 2 and eligible:
            reserve.append(min(eligible, key=lambda unit: _place(unit, protocol)))
    asked = max(1, int(protocol.test_fraction * parts.count("train") + 0.5))
    for unit in sorted(reserve, key=lambda unit: _place(unit, protocol)):
        if sum(one.size for one in tested) < asked:
            tested.append(unit)
    result = list(parts)
    for index in (index for unit in tested for index in unit.rows):
        result[index] = "test"
    return result


def _place(unit: Unit, protocol: Protocol) -> tuple[float, str]:
    return position(unit.key, seed=protocol.seed, purpose="test"), unit.key


def _tested(
    eligible: Sequence[Unit], stratum: Sequence[Unit], protocol: Protocol, *, pieces: int, tolerance: float
) -> list[Unit]:
    """Return the units of a class that go to the test set: their images are a share of all those of the class.

    A unit for each of the ``pieces`` of train is left as far as the share allows.
    """
    if not eligible:
        return []
    whole, images = sum(unit.size for unit in stratum), sum(unit.size for unit in eligible)
    fraction = min(1.0, protocol.test_fraction * (whole / images))
    spared = len(stratum) - max(1, round(protocol.test_fraction * len(stratum)))
    left = max(min(2, pieces), min(pieces, spared))
    chosen = assign(
        eligible,
        (fraction, 1 - fraction),
        minimum=(1, max(0, left - (len(stratum) - len(eligible)))),
        seed=protocol.seed,
        purpose="test",
        tolerance=tolerance,
    )
    return [unit for unit, part in zip(eligible, chosen, strict=True) if part == 0]


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
    count = protocol.folds
    fractions = [1 / count] * count if folds else [protocol.holdout, 1 - protocol.holdout]
    # what stands alone in its class is always trained on
    strata = [stratum for stratum in _strata(_units(table, parts)) if len(stratum) > 1]
    for repeat in range(protocol.repeats):
        purpose = f"fold:{repeat}" if folds else f"validation:{repeat}"
        chosen = np.full(len(parts), -1)
        for stratum in strata:
            places = assign(
                stratum,
                fractions,
                minimum=[1] * len(fractions),
                seed=protocol.seed,
                purpose=purpose,
                tolerance=_tolerance(table),
            )
            for unit, part in zip(stratum, places, strict=True):
                chosen[list(unit.rows)] = part
        used = [fold for fold in range(count if folds else 1) if np.any(chosen[train] == fold)]
        for number, fold in enumerate(used):
            yield Round(repeat, number, train[chosen[train] != fold], train[chosen[train] == fold])


def _check_sizes(table: ImageTable, parts: Sequence[str]) -> None:
    """Raise DataError unless every class has a training image and a second image somewhere."""
    trained = {row.label for row, part in zip(table.rows, parts, strict=True) if part == "train"}
    if absent := [name for name in table.classes if name not in trained]:
        raise DataError(f"There are no training images of class {shown(absent)}. Add some, or leave the class out.")
    if single := [repr(name) for name, count in table.counts.items() if count == 1]:
        named = f"Class {single[0]} has" if len(single) == 1 else f"Each of the classes {', '.join(single)} has"
        raise DataError(
            f"{named} one image in all: nothing would be left to judge it by. Add images, or leave such classes out: "
            "--min-images-per-class 2 (in a recipe: data.min_images_per_class = 2)."
        )


def _check_rounds(table: ImageTable, parts: Sequence[str], rounds: Sequence[Round], *, cut: bool) -> None:
    """Raise DataError if groups keep a class out of a training or the test set, or nothing validates or is tested."""
    before = ["train" if cut and part == "test" else part for part in parts]
    units = Counter(label for unit in _units(table, before) for label in {table.rows[i].label for i in unit.rows})
    needed = {name for name in table.classes if units[name] > 2}
    sides = [("the test set", _positions(parts, "test"), needed)] if cut else []
    sides += [
        (f"the training images of round {number + 1}", one.train, set(table.classes))
        for number, one in enumerate(rounds)
    ]
    for name, positions, wanted in sides:
        absent = sorted(wanted - {table.rows[index].label for index in positions}, key=natural_key)
        if absent:
            raise DataError(
                f"No image of class {shown(absent)} could be put into {name}: its images share groups with other "
                "classes, or are pictures under two labels. Use smaller groups, or add images."
            )
    if cut and "test" not in parts:
        raise DataError(
            "No test set can be cut: no class has two images (or groups of images) that may be told apart from the "
            "training images. Add images, use smaller groups, or give test images."
        )
    if not rounds:
        raise DataError(
            "Nothing is left to validate with: every class has a single training image (or group of images). Add "
            "images, use smaller groups, or a smaller --test-fraction."
        )


def _test_note(table: ImageTable, parts: Sequence[str]) -> str:
    cut = sum(part == "test" for part in parts)
    given = any(row.split for row in table.ok)
    why = ", because no test images were given" if given else ""
    return f"A test set of {cut:,} of {len(table.ok):,} images was cut from the training images{why}."


def _small_notes(table: ImageTable, rounds: Sequence[Round], protocol: Protocol, *, folds: bool) -> Iterator[str]:
    """Say which classes are never validated, and that there are fewer folds than were asked for."""
    count = sum(one.repeat == 0 for one in rounds)
    if folds and count < protocol.folds:
        yield f"{count} folds instead of {protocol.folds}: the others would have no image to validate with."
    there = {table.rows[index].label for one in rounds for index in one.validation}
    if absent := [name for name in table.classes if name not in there]:
        yield f"Always trained on and never validated, with a single training image or group: {shown(absent)}."


def _absent_notes(table: ImageTable, parts: Sequence[str]) -> Iterator[str]:
    """Say which classes a given validation, or the test set, lacks."""
    for wanted in ("validation", "test"):
        there = {row.label for row, part in zip(table.rows, parts, strict=True) if part == wanted}
        absent = [name for name in table.classes if name not in there]
        if there and absent:
            yield f"The {wanted} images show no {shown(absent)}."
