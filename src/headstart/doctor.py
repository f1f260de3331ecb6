"""Checks of an installation: what is there, what is missing, and what to do about it. Imports nothing heavy."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from headstart import storage
from headstart.backbones import catalog, weights
from headstart.backbones.engine import backend_name
from headstart.errors import HeadstartError
from headstart.machine import core_count, memory_bytes
from headstart.version import __version__

BASE = ("numpy", "pillow", "openvino", "click", "rich")
STUDY = ("keras", "scipy", "scikit-learn", "matplotlib", "jinja2", "tomli-w")
BACKENDS = {"tensorflow": ("tensorflow-cpu", "tensorflow"), "jax": ("jax",), "torch": ("torch",)}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at; ``good`` is False when a study cannot run because of it."""

    name: str
    good: bool
    finding: str


def examine(weights_dir: Path | None = None) -> tuple[Check, ...]:
    """Return every check of this installation, in the order in which they are read best."""
    return (
        Check("headstart", True, f"{__version__}, Python {platform.python_version()} on {platform.platform()}"),
        _packages("base install", BASE, "pip install headstart"),
        _packages("study", STUDY, "pip install 'headstart[cpu]'"),
        _backend(),
        _cores(),
        _cache(),
        _weights(weights_dir),
        Check("HEIC photographs", True, _heic()),
    )


def _packages(name: str, packages: tuple[str, ...], mend: str) -> Check:
    versions = {package: _version(package) for package in packages}
    missing = [package for package, version in versions.items() if version is None]
    if missing:
        return Check(name, False, f"{', '.join(missing)} missing. Install with: {mend}")
    return Check(name, True, ", ".join(f"{package} {version}" for package, version in versions.items()))


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _backend() -> Check:
    name = backend_name()
    found = [f"{package} {_version(package)}" for package in BACKENDS.get(name, (name,)) if _version(package)]
    if not found:
        return Check("Keras backend", False, f"{name} missing. Install with: pip install 'headstart[cpu]'")
    return Check("Keras backend", True, found[0])


def _cores() -> Check:
    from headstart.features.trunk import choose_engine

    engine = choose_engine().label if util.find_spec("keras") or util.find_spec("openvino") else "none"
    size = memory_bytes()
    memory = f", {size / 2**30:.0f} GiB of memory" if size else ""
    return Check("engine", engine != "none", f"{engine}, {core_count()} cores{memory}")


def _cache() -> Check:
    folder = storage.cache_folder()
    try:
        storage.write_text(folder / "writable", "")
        (folder / "writable").unlink()
    except OSError as error:
        return Check("cache", False, f"{folder} cannot be written: {error.strerror}. Choose another: HEADSTART_CACHE")
    return Check("cache", True, str(folder))


def _weights(weights_dir: Path | None) -> Check:
    try:
        rows = [row for row in catalog.CATALOG.values() if row.pretrained]
        found = [row.name for row in rows if weights.locate(row, weights_dir=weights_dir)]
    except HeadstartError as error:
        return Check("weights", False, str(error))
    return Check("weights", True, ", ".join(found) or "none found (see: headstart weights list)")


def _heic() -> str:
    return "can be read" if util.find_spec("pillow_heif") else "need: pip install 'headstart[heic]'"
