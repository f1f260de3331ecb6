"""The pictures on which an exported file is run: the probes of its bundle, and those of --data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from headstart import storage
from headstart.classifier import probe_file
from headstart.classifier.bundle import Bundle
from headstart.data.decode import Encoded
from headstart.data.images import read_table
from headstart.data.listing import FileSource, files_below
from headstart.errors import DataError
from headstart.progress import SILENT, Progress


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Some pictures, read when they are needed.

    Attributes:
        name: what they are, for people.
        names: of each, for messages.
        labels: the true class of each; empty where unknown.
        encoded: the bytes or pixels of one by its number; raises ImageError.
    """

    name: str
    names: tuple[str, ...]
    labels: tuple[str, ...]
    encoded: Callable[[int], Encoded]

    def subset(self, places: list[int]) -> Pictures:
        """Return some of them, by their numbers."""
        labels = tuple(self.labels[place] for place in places) if self.labels else ()
        names = tuple(self.names[place] for place in places)
        return Pictures(self.name, names, labels, lambda index: self.encoded(places[index]))


def probe_pictures(bundle: Bundle) -> Pictures:
    """Return the generated pictures of a bundle; an older bundle has none, so they are made anew."""
    probes = bundle.probes()
    images = probes.images if probes else probe_file.make(bundle.info.size)
    names = [f"probe {place} ({image.shape[0]} x {image.shape[1]} pixels)" for place, image in enumerate(images)]
    return Pictures("probes", tuple(names), (), lambda index: images[index])


def read(data: str | Path, *, progress: Progress = SILENT) -> Pictures:
    """Return the readable pictures of DATA in any of its forms, or of a folder without class folders.

    Raises:
        DataError: there are none, or DATA is neither.
    """
    plain = _plain_files(Path(data))
    if plain:
        return _from_files(Path(data), plain)
    table = read_table(data, progress=progress, cache=storage.cache_folder())
    rows = table.ok
    if not rows:
        raise DataError(f"No image in {data} can be read. See what is wrong with them: headstart audit {data}")
    return Pictures(
        table.name,
        tuple(row.path for row in rows),
        tuple(row.label for row in rows),
        lambda index: table.encoded(rows[index]),
    )


def _plain_files(folder: Path) -> list[Path]:
    """Return the files of a folder that holds files only: no class folders, so no labels."""
    if not folder.is_dir():
        return []
    found = list(files_below(folder))
    return [path for path in found if path.is_file()] if all(path.parent == folder for path in found) else []


def _from_files(folder: Path, files: list[Path]) -> Pictures:
    source, names = FileSource(folder), tuple(path.name for path in files)
    return Pictures(folder.resolve().name, names, (), lambda index: source.encoded(names[index]))
