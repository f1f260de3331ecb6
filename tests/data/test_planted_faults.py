"""Faults planted into good photographs: the audit finds them, and little else. Real photographs and made ones."""

import itertools
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.audit import Audit, audit
from headstart.data.images import ImageTable, read_table
from headstart.data.split import split_table
from headstart.recipe import Protocol

PHOTOGRAPHS = Path(__file__).parents[2].parent / "shared" / "datasets" / "flower_photos"
NEEDS_PHOTOGRAPHS = pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason=f"the photographs are not there: {PHOTOGRAPHS}")
ROTATED = 6


@dataclass
class Planted:
    """What was planted below ``root``: pairs of paths, and paths."""

    root: Path
    equal: list[tuple[str, str]] = field(default_factory=list)
    copies: list[tuple[str, str]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    rotated: list[str] = field(default_factory=list)
    print_colours: list[str] = field(default_factory=list)


def plant(root: Path) -> Planted:
    """Plant faults between the folders train and test below ``root``; each concerns another image of train."""
    random = np.random.default_rng(0)
    found = Planted(root)
    originals = sorted((root / "train").rglob("*.jpg"))
    random.shuffle(originals)
    unused = iter(originals)
    for number, original in enumerate(itertools.islice(unused, 20)):
        found.equal.append(_copied(root, original, f"equal{number}", shutil.copyfile))
    for number, original in enumerate(itertools.islice(unused, 20)):
        found.copies.append(_copied(root, original, f"copy{number}", lambda a, b: _save_smaller(a, b, random)))
    for original in itertools.islice(unused, 5):
        original.write_bytes(original.read_bytes()[: original.stat().st_size // 2])
        found.unreadable.append(original.relative_to(root).as_posix())
    for number in range(3):
        (root / "train" / original.parent.name / f"words{number}.jpg").write_text("These are words.")
        found.unreadable.append(f"train/{original.parent.name}/words{number}.jpg")
    for original in itertools.islice(unused, 4):
        _rewrite(original, lambda image: image.transpose(Image.Transpose.ROTATE_90), orientation=ROTATED)
        found.rotated.append(original.relative_to(root).as_posix())
    for original in itertools.islice(unused, 2):
        _rewrite(original, lambda image: image.convert("CMYK"))
        found.print_colours.append(original.relative_to(root).as_posix())
    return found


def _copied(root: Path, original: Path, name: str, copy: Callable[[Path, Path], object]) -> tuple[str, str]:
    target = root / "test" / original.parent.name / f"{name}.jpg"
    copy(original, target)
    return original.relative_to(root).as_posix(), target.relative_to(root).as_posix()


def _save_smaller(original: Path, target: Path, random: np.random.Generator) -> None:
    with Image.open(original) as image:
        scale = max(64 / min(image.size), random.uniform(0.45, 0.9))
        size = tuple(round(side * scale) for side in image.size)
        image.resize(size, Image.Resampling.BICUBIC).save(target, quality=int(random.integers(40, 91)))


def _rewrite(path: Path, change: Callable[[Image.Image], Image.Image], orientation: int = 1) -> None:
    with Image.open(path) as image:
        changed = change(image)
    exif = Image.Exif()
    exif[0x0112] = orientation
    changed.save(path, quality=90, exif=exif)


def pairs(groups) -> set[frozenset[str]]:
    return {frozenset(pair) for group in groups for pair in itertools.combinations(group, 2)}


def check(planted: Planted, known: set[frozenset[str]]) -> tuple[ImageTable, Audit, set[frozenset[str]]]:
    """Check that everything planted is named; return the pairs of nearly equal clean images that are not ``known``."""
    table = read_table(planted.root)
    found = audit(table)
    assert pairs(found.exact_duplicates) >= {frozenset(pair) for pair in planted.equal}
    near = pairs(found.near_duplicates)
    named = [pair for pair in planted.copies if frozenset(pair) in near]
    assert len(named) >= 18
    leaked = {kind: pairs(leak.paths for leak in found.leaks if leak.kind == kind) for kind in ("exact", "near")}
    assert leaked["exact"] >= {frozenset(pair) for pair in planted.equal}
    assert leaked["near"] >= {frozenset(pair) for pair in named}
    assert sorted(one.path for one in found.set_aside) == sorted(planted.unreadable)
    reasons = [one.reason for one in found.set_aside]
    assert (reasons.count("truncated JPEG"), reasons.count("text, not an image")) == (5, 3)
    assert list(found.rotated) == sorted(planted.rotated)
    assert found.colour_modes["CMYK"] == len(planted.print_colours) == 2
    origin = dict(reversed(pair) for pair in planted.equal + planted.copies)
    clean = {frozenset(origin.get(path, path) for path in pair) for pair in near}
    return table, found, {pair for pair in clean if len(pair) == 2} - known


def made_split(root: Path, photograph: Callable[..., Image.Image]) -> Path:
    seeds = itertools.count()
    for part, label, count in (("train", "a", 45), ("train", "b", 45), ("test", "a", 12), ("test", "b", 12)):
        (root / part / label).mkdir(parents=True)
        for number in range(count):
            photograph(next(seeds)).save(root / part / label / f"{number:02}.jpg", quality=92)
    return root


def test_faults_in_made_photographs(tmp_path, photograph):
    planted = plant(made_split(tmp_path / "data", photograph))
    table, found, false = check(planted, set())
    assert false == set()
    # one side of every planted pair is a given test image, so no class conflict and no group over classes
    assert found.label_conflicts == ()
    assert [warning for warning in found.warnings if "nearly equal" in warning] == [
        f"{len(found.near_duplicates)} groups of nearly equal images in more than one given split: numbers flatter."
    ]
    assert {row.path for row in table.ok if row.group} >= {path for pair in planted.equal for path in pair}


def test_without_given_splits_copies_stay_together(tmp_path, photograph):
    root = made_split(tmp_path / "data", photograph) / "train"
    planted = plant_copies(root)
    table = read_table(root)
    for seed in range(5):
        split = {row.path: row.split for row in split_table(table, Protocol(seed=seed, folds=3)).rows}
        assert all(split[first] == split[second] for first, second in planted)
    assert {"train", "test"} == set(split.values())


def plant_copies(root: Path) -> list[tuple[str, str]]:
    random = np.random.default_rng(1)
    planted = []
    for original in sorted(root.rglob("*.jpg"))[::6]:
        copy = original.with_name(f"copy-{original.name}")
        _save_smaller(original, copy, random)
        planted.append((original.relative_to(root).as_posix(), copy.relative_to(root).as_posix()))
    return planted


def test_a_near_copy_under_another_label_is_a_conflict_and_never_tested(tmp_path, photograph):
    root = made_split(tmp_path / "data", photograph) / "train"
    _save_smaller(root / "a" / "00.jpg", root / "b" / "copy.jpg", np.random.default_rng(1))
    shutil.copyfile(root / "a" / "00.jpg", root / "a" / "again.jpg")
    table = read_table(root)
    found = audit(table)
    assert found.label_conflicts == found.near_duplicates == (("a/00.jpg", "a/again.jpg", "b/copy.jpg"),)
    assert found.exact_duplicates == (("a/00.jpg", "a/again.jpg"),)
    for seed in range(5):
        split = {row.path: row.split for row in split_table(table, Protocol(seed=seed, folds=3)).rows}
        assert {split[path] for path in found.near_duplicates[0]} == {"train"}


@NEEDS_PHOTOGRAPHS
@pytest.mark.realdata
def test_faults_in_a_part_of_flower_photos(tmp_path):
    """Every third photograph, a fifth of them as the given test set; what the clean ones hold is asked for first."""
    root = tmp_path / "flowers"
    for number, original in enumerate(sorted(PHOTOGRAPHS.rglob("*.jpg"))[::3]):
        target = root / ("train" if number % 5 else "test") / original.parent.name / original.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(original, target)
    known = pairs(audit(read_table(root)).near_duplicates)
    # the same photographs uploaded twice: looked at, each pair shows one picture
    assert len(known) <= 5
    _, _, false = check(plant(root), known)
    assert len(false) <= 5
