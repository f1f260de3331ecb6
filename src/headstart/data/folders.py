"""DATA as folders: one per class, or the same under ``train/``, ``validation/`` or ``val/``, ``test/``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from headstart.data.listing import SPLIT_NAMES, Entry, FileSource, Listing, files_below, shown, visible
from headstart.errors import DataError

_LAYOUT = "Put each class's images into a folder of its own: DATA/daisy/1.jpg, DATA/rose/2.jpg"


def list_folder(root: Path, location: str) -> Listing:
    """List a folder of class folders.

    Raises:
        DataError: there are no class folders, or the split folders are not what they should be.
    """
    tops = visible(root)
    folders = [path for path in tops if path.is_dir()]
    splits = _split_folders(root, folders)
    loose = [path for path in tops if not path.is_dir()]
    entries = [_entry(root, path, "", "", "outside the class folders") for path in loose]
    notes: list[str] = []
    for split, folder in splits or [("", root)]:
        entries += _class_entries(root, folder, split, notes)
    if not any(entry.label for entry in entries):
        raise DataError(f"There are no images in class folders in {location}. {_LAYOUT}.")
    return Listing(location, root.resolve().name, tuple(entries), FileSource(root), tuple(notes))


def _split_folders(root: Path, folders: list[Path]) -> list[tuple[str, Path]]:
    """Return (split, folder) pairs, or nothing where the folders are classes.

    A class may be called "train" or "test": the names mean splits only where nothing but them is there. Two of them
    beside other folders could mean either, and is refused.
    """
    named = [(SPLIT_NAMES[folder.name], folder) for folder in folders if folder.name in SPLIT_NAMES]
    others = [folder.name for folder in folders if folder.name not in SPLIT_NAMES]
    splits = {split for split, _ in named}
    if others and len(splits) > 1 and "train" in splits:
        names = ", ".join(folder.name for _, folder in named)
        raise DataError(
            f"{root} holds split folders ({names}) and others ({shown(others)}). Move the others elsewhere."
        )
    if others or not named:
        return []
    if len(splits) < len(named):
        raise DataError(f"{root} holds both val and validation. Keep one of them.")
    if "train" not in splits:
        raise DataError(f"{root} holds {', '.join(sorted(splits))} but no train folder. Add one with the same classes.")
    return named


def _class_entries(root: Path, folder: Path, split: str, notes: list[str]) -> Iterator[Entry]:
    """Yield the entries of one folder of class folders; empty class folders are noted."""
    tops = visible(folder)
    classes = [path for path in tops if path.is_dir()]
    if split and not classes:
        raise DataError(f"{folder} holds no class folders. Sort its images into them, or move {folder.name} elsewhere.")
    for path in tops if split else []:
        if not path.is_dir():
            yield _entry(root, path, "", split, "outside the class folders")
    for class_folder in classes:
        files = list(files_below(class_folder, (root.resolve(), folder.resolve())))
        if not files:
            notes.append(f"The folder {class_folder.relative_to(root).as_posix()} is empty and was left out.")
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
