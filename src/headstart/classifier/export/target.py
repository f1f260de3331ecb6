"""Where an export is written: beside the classifier unless told, whole or not at all, and never over other files."""

from __future__ import annotations

import contextlib
import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from headstart import storage
from headstart.errors import UsageError

CERTIFICATE = ".certificate.json"


def choose(classifier: Path, out: Path | None, *, suffix: str, int8: bool) -> Path:
    """Return the path of the exported file: ``out``, in the folder ``out``, or beside the classifier.

    Raises:
        UsageError: ``out`` ends otherwise than files of this format do.
    """
    place = classifier.resolve()
    name = (place.stem if place.is_file() else place.name) + (".int8" if int8 else "") + suffix
    if out is None:
        # "." and ".." do not say what they lie in
        return (place if classifier.name in ("", "..") else classifier).parent / name
    if out.is_dir():
        return out / name
    if out.suffix != suffix:
        raise UsageError(f"--out must be a folder, or a file whose name ends in {suffix}. Received: {out}")
    return out


def certificate_of(file: Path) -> Path:
    """Return where the certificate of an exported file lies."""
    return file.with_name(file.name + CERTIFICATE)


def companion_of(file: Path) -> Path | None:
    """Return the second file of an OpenVINO model; None for other formats."""
    return file.with_suffix(".bin") if file.suffix == ".xml" else None


def check_free(file: Path, classifier: Path, *, to: str, force: bool) -> None:
    """Raise UsageError where something stands that is not an unchanged earlier export in the same format.

    Args:
        file: nothing is written into ``classifier`` itself, which it would damage.
        force: replace files all the same; folders never.
    """
    place = file.parent.resolve() / file.name
    if classifier.resolve() in (place, *place.parents):
        raise UsageError(f"{file} would lie in the classifier itself. Choose an --out outside of {classifier}.")
    for path in (file, companion_of(file), certificate_of(file)):
        if path is None or not (path.exists() or path.is_symlink()):
            continue
        if path.is_dir():
            raise UsageError(f"{path} is a folder. Choose another --out.")
        if not force and not _is_earlier(file, to):
            raise UsageError(
                f"{path} exists, and is no unchanged export to {to} with its certificate. Choose another --out, or "
                "replace it with --force."
            )


def _is_earlier(file: Path, to: str) -> bool:
    """Return whether the certificate beside a file is one of this format, and of this very file and its second one."""
    companion = companion_of(file)
    try:
        said = json.loads(certificate_of(file).read_text(encoding="utf-8"))
        same = said["format"] == to and said["sha256"] == storage.sha256_of(file)
        if companion is None or not companion.exists():
            return bool(same)
        return bool(same and said["weights_sha256"] == storage.sha256_of(companion))
    except (OSError, ValueError, KeyError, TypeError):
        return False


@contextlib.contextmanager
def staged(file: Path) -> Iterator[Path]:
    """Yield a path of the same name in a folder of its own; what is written there takes its place if all went well.

    Beside the file that is its certificate, and OpenVINO's second file. After an error nothing of it is left.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    folder = file.with_name(f".{file.name}.{uuid.uuid4().hex}.part")
    folder.mkdir()
    try:
        draft = folder / file.name
        yield draft
        for path in (companion_of(draft), draft, certificate_of(draft)):
            if path is not None:
                path.replace(file.with_name(path.name))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
