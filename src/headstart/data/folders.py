"""DATA as folders: one per class, or the same under ``train/``, ``validation/`` (``val/``, ``valid/``), ``test/``.

How the names of splits are capitalised does not matter. Run folders of headstart are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from headstart.data.listing import SPLIT_NAMES, Entry, FileSource, Listing, files_below, is_run, shown, visible
from headstart.errors import DataError, did_you_mean

_LAYOUT = "Put each class's images into a folder of its own: DATA/daisy/1.jpg, DATA/rose/2.jpg"


def list_folder(root: Path, location: str) -> Listing:
    """List a folder of class folders.

    Raises:
        DataError: there are no class folders, or the split folders are not what they should be.
    """
    tops = visible(root)
    splits = _split_folders(root, _folders(tops))
    loose = [path for path in tops if not path.is_dir()]
    entries = [_entry(root, path, "", "", "outside the class folders") for path in loose]
    notes: list[str] = []
    for split, folder in splits or [("", root)]:
        entries += _class_entries(root, folder, split, notes)
    if not any(entry.label for entry in entries):
        raise DataError(f"There are no images in class folders in {location}. {_LAYOUT}.")
    return Listing(location, root.resolve().name, tuple(entries), FileSource(root), tuple(notes))


def _folders(paths: list[Path]) -> list[Path]:
    return [path for path in paths if path.is_dir() and not is_run(path)]


def _split_folders(root: Path, folders: list[Path]) -> list[tuple[str, Path]]:
    """Return (split, folder) pairs, or nothing where the folders are classes.

    A class may be called "train" or "test": the names mean splits only where no other folder with files is there. Two
    of them beside others, or one beside others with the same subfolders, could mean either, and are refused.
    """
    named = [(SPLIT_NAMES[folder.name.lower()], folder) for folder in folders if folder.name.lower() in SPLIT_NAMES]
    if not named:
        return []
    others = [folder for folder in folders if folder.name.lower() not in SPLIT_NAMES and any(files_below(folder))]
    for _, folder in named:
        _refuse_twins(folder, others)
    splits = [split for split, _ in named]
    if others and len(set(splits)) > 1 and "train" in splits:
        names = ", ".join(folder.name for _, folder in named)
        raise DataError(
            f"{root} holds split folders ({names}) and others ({shown([folder.name for folder in others])}). "
            "Move the others elsewhere."
        )
    if others:
        return []
    if twice := [folder.name for split, folder in named if splits.count(split) > 1]:
        raise DataError(f"{root} holds both {' and '.join(twice)}. Keep one of them.")
    if "train" not in splits:
        raise DataError(f"{root} holds {', '.join(sorted(splits))} but no train folder. Add one with the same classes.")
    return named


def _refuse_twins(split: Path, others: list[Path]) -> None:
    """Raise DataError if another folder has the subfolders of one with the name of a split: it seems to be a split."""
    classes = {path.name for path in _folders(visible(split))}
    for other in others:
        there = {path.name for path in _folders(visible(other))}
        shared = sorted(classes & there)
        if shared and (classes <= there or there <= classes):
            raise DataError(
                f"{other} holds the same folders as {split.name} ({shown(shared)}), but its name is no split's. "
                f"Allowed: {', '.join(SPLIT_NAMES)}.{did_you_mean(other.name.lower(), SPLIT_NAMES)} "
                f"Rename it or move it elsewhere; if {split.name} is a class, rename that."
            )


def _class_entries(root: Path, folder: Path, split: str, notes: list[str]) -> Iterator[Entry]:
    """Yield the entries of one folder of class folders; class folders without files are noted."""
    tops = visible(folder)
    classes = _folders(tops)
    if split and not classes:
        raise DataError(f"{folder} holds no class folders. Sort its images into them, or move {folder.name} elsewhere.")
    for path in tops if split else []:
        if not path.is_dir():
            yield _entry(root, path, "", split, "outside the class folders")
    for class_folder in classes:
        files = list(files_below(class_folder, (root.resolve(), folder.resolve())))
        if not files:
            notes.append(f"The folder {class_folder.relative_to(root).as_posix()} holds no images and was left out.")
        for path in files:
            reason = "" if path.is_file() else "a broken link or no regular file"
            yield _entry(root, path, class_folder.name, split, reason)


def _entry(root: Path, path: Path, label: str, split: str, reason: str) -> Entry:
    name = path.relative_to(root).as_posix()
    readable = name.encode("utf-8", "backslashreplace").decode()
    if readable != name:
        reason = "its path is not valid UTF-8: rename it"
        label = label.encode("utf-8", "backslashreplace").decode()
    return Entry(readable, label, split, "", reason)
