"""DATA, in any of its forms, -> image table."""

from __future__ import annotations

from pathlib import Path

from headstart.data.assemble import AS_FOUND, assemble
from headstart.data.csv_list import list_csv
from headstart.data.facts import scan
from headstart.data.folders import list_folder
from headstart.data.groups import group_rule
from headstart.data.idx import is_idx_folder, list_idx
from headstart.data.listing import Listing
from headstart.data.near_duplicates import near_duplicates
from headstart.data.rules import check_class_names, check_relabels, without_removed
from headstart.data.samples import DIGITS, digits_listing
from headstart.data.table import ImageRow, ImageSource, ImageTable
from headstart.errors import DataError, UsageError, did_you_mean
from headstart.progress import SILENT, Progress
from headstart.recipe import DataRules

__all__ = ["ImageRow", "ImageSource", "ImageTable", "list_data", "read_table"]


def read_table(
    data: str | Path,
    *,
    rules: DataRules = AS_FOUND,
    progress: Progress = SILENT,
    cache: Path | None = None,
    strict: bool = True,
) -> ImageTable:
    """Read every image of DATA once and return the image table.

    DATA is a folder with one folder per class; the same under ``train/``, ``validation/`` or ``val/``, ``test/``; a CSV
    file with ``path,label`` and optional ``split,group``; a folder of MNIST IDX files; or the word ``digits`` for the
    embedded sample. Unreadable images are set aside with a reason. Below ``cache``, facts are remembered by content;
    None remembers nothing.

    Of the ``rules``, ``remove`` sets images aside, ``relabel`` corrects the labels of single images, ``class_names``
    renames labels (two may become one class), ``group_by`` says what belongs together, ``pool`` forgets given splits,
    and ``limit`` (see ``subset``) and ``min_images_per_class`` leave images and classes out of the table. Notes of the
    table say what was done. Without ``strict``, images that no study could learn from are listed all the same: files of
    a CSV that do not exist are set aside, and a class without a readable image, or a single class, is noted.

    Raises:
        DataError: DATA cannot be used; the message says why and what to do.
        UsageError: ``group_by`` is not valid, or the CSV has groups already; ``remove``, ``relabel`` or ``class_names``
            name what DATA does not have; ``limit`` is below the number of classes.
    """
    group_rule(rules.group_by)
    listing = list_data(data, strict=strict)
    if rules.group_by and any(entry.group for entry in listing.entries):
        raise UsageError(f"{data} has a group column. Leave out --group-by, or remove the column.")
    check_class_names(listing, rules.class_names)
    check_relabels(listing, rules)
    listing = without_removed(listing, rules.remove)
    facts = scan(listing, cache=cache, progress=progress)
    near = near_duplicates(listing, facts, cache=cache, progress=progress)
    return assemble(listing, facts, rules, near, strict=strict)


def list_data(data: str | Path, *, strict: bool = True) -> Listing:
    """List what DATA holds, in any of its forms, without opening an image; raises DataError as ``read_table`` does."""
    path = Path(data)
    if str(data) == DIGITS and not path.exists():
        return digits_listing()
    return _listing(path, str(data), strict=strict)


def _listing(path: Path, location: str, *, strict: bool) -> Listing:
    if path.is_dir():
        return list_idx(path, location) if is_idx_folder(path) else list_folder(path, location)
    if not path.exists():
        siblings = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(
            f"There is no folder or file {location}. Give a folder with one folder per class, a CSV file "
            f"with path,label, or a folder of MNIST IDX files.{did_you_mean(path.name, siblings)}"
        )
    if path.suffix.lower() != ".csv":
        raise DataError(f"{location} is a file. DATA must be a folder, or a CSV file whose name ends in .csv.")
    return list_csv(path, location, strict=strict)
