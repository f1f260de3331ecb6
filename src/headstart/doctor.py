"""Checks of an installation, and of a classifier in it: what is there, what is missing, and what to do about it.

Imports nothing heavy.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING

from headstart import storage
from headstart.backbones import catalog, weights
from headstart.backbones.engine import backend_name
from headstart.errors import HeadstartError
from headstart.machine import core_count, memory_bytes
from headstart.version import __version__

if TYPE_CHECKING:
    from headstart.classifier.bundle import Bundle, ClassifierInfo
    from headstart.classifier.predict import Classifier

BASE = ("numpy", "pillow", "openvino", "click", "rich")
STUDY = ("keras", "scipy", "scikit-learn", "matplotlib", "jinja2", "tomli-w")
BACKENDS = {"tensorflow": ("tensorflow-cpu", "tensorflow"), "jax": ("jax",), "torch": ("torch",)}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at; ``good`` is False when a study cannot run, or the classifier be trusted, because of it."""

    name: str
    good: bool
    finding: str


def examine(weights_dir: Path | None = None) -> tuple[Check, ...]:
    """Return every check of this installation, in the order in which they are read best."""
    return (
        *_base(),
        _packages("study", STUDY, "pip install 'headstart[cpu]'"),
        _backend(),
        _cores(),
        _cache(),
        _weights(weights_dir),
        Check("HEIC photographs", True, _heic()),
    )


def examine_classifier(path: Path) -> tuple[Check, ...]:
    """Return every check of the classifier at ``path``, a folder or zip file, and of what using it needs here."""
    base = _base()
    if not all(check.good for check in base):
        return base
    from headstart.classifier import predict
    from headstart.classifier.bundle import open_bundle

    checks = list(base)
    try:
        bundle = open_bundle(path)
        checks.append(Check("files", True, _files(bundle)))
        classifier = predict.Classifier(bundle)
        checks.append(Check("classifier", True, _description(bundle.info)))
        checks.append(_self_test(classifier))
    except HeadstartError as error:
        checks.append(Check("files" if len(checks) == len(base) else "classifier", False, str(error)))
    return tuple(checks)


def _base() -> tuple[Check, ...]:
    return (
        Check("headstart", True, f"{__version__}, Python {platform.python_version()} on {platform.platform()}"),
        _packages("base install", BASE, "pip install headstart"),
    )


def _files(bundle: Bundle) -> str:
    info = bundle.info
    size = sum(one.bytes for one in info.files.values()) / 1e6
    return f"{len(info.files)} files, {size:,.1f} MB, as headstart {info.headstart_version} saved them"


def _description(info: ClassifierInfo) -> str:
    return (
        f"{info.provenance.candidate}: {len(info.classes)} classes, images of {info.input.width} x "
        f"{info.input.height} pixels, {info.precision}"
    )


def _self_test(classifier: Classifier) -> Check:
    from headstart.classifier import probes

    if not classifier.bundle.has_probes:
        return Check("self-test", True, "none: an older headstart saved it, without the pictures that this needs")
    found = probes.check(classifier)
    return Check(
        "self-test",
        found.good,
        f"probabilities of {found.images} generated pictures differ by at most {found.largest_difference:.2g} from "
        f"those when it was saved; up to {found.tolerance:g} is fine"
        + ("" if found.good else ". Its answers cannot be trusted here: pip install --upgrade openvino pillow numpy"),
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
