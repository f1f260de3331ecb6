"""Pretrained weights: find, check, download and load them. The only module that opens a pretrained-weight file.

A weights folder (``--weights-dir``, else ``HEADSTART_WEIGHTS``) holds ``<backbone>.weights.h5`` files and, beside them,
``weights.json``: for each backbone its ``sha256``, ``origin`` and ``licence``. Without such a folder, Keras' own cache
is looked at, then Keras may download. With one, nothing touches the network. AlexNet may also come as ``alexnet.npz``
or ``alexnet.safetensors``, with torchvision's names.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import sys
import warnings
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart import storage
from headstart.backbones import architectures, arrays
from headstart.backbones.catalog import CATALOG, Backbone, find
from headstart.backbones.engine import keras_module
from headstart.errors import WeightsError

if TYPE_CHECKING:
    import keras

ENVIRONMENT_VARIABLE = "HEADSTART_WEIGHTS"
INDEX = "weights.json"

FIRST = ("mobilenet", "mobilenet_v2")
"""Small and good: what to fetch where nothing is there."""


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A file of pretrained weights. ``checked``: a published checksum was there and agrees."""

    backbone: str
    path: Path
    sha256: str
    origin: str
    licence: str
    checked: bool


@dataclass(frozen=True, slots=True)
class WeightsStatus:
    """What is known of a backbone's weights: ``state`` is ``found``, ``missing`` or ``damaged``.

    ``remedy`` says in a few words how to get missing weights, and what is wrong with damaged ones.
    """

    backbone: str
    state: str
    file: WeightsFile | None
    remedy: str


def folder(weights_dir: Path | None) -> Path | None:
    """Return the weights folder: ``weights_dir``, else ``HEADSTART_WEIGHTS``, else None.

    Raises:
        WeightsError: it is named but does not exist.
    """
    named = str(weights_dir or os.environ.get(ENVIRONMENT_VARIABLE, ""))
    if not named:
        return None
    if not Path(named).is_dir():
        source = "--weights-dir" if weights_dir else ENVIRONMENT_VARIABLE
        raise WeightsError(f"There is no weights folder {named} (from {source}). Name a folder that exists.")
    return Path(named)


def locate(backbone: Backbone, *, weights_dir: Path | None = None) -> WeightsFile | None:
    """Return the backbone's weights from the weights folder, else from Keras' own cache, else None.

    Raises:
        WeightsError: a file is there but is not what its checksum says, or the named folder does not exist.
    """
    place = folder(weights_dir)
    for path in _names(backbone, place) if place else ():
        if path.is_file():
            return _from_folder(backbone, path)
    return _from_keras_cache(backbone)


def _names(backbone: Backbone, place: Path) -> tuple[Path, ...]:
    """Return the files that may hold a backbone's weights, the first to look at first."""
    suffixes = (".weights.h5", *(arrays.READERS if backbone.name in arrays.CONVERTERS else ()))
    return tuple(place / f"{backbone.name}{suffix}" for suffix in suffixes)


def require(backbone: Backbone, *, weights_dir: Path | None = None) -> WeightsFile:
    """Return the backbone's weights; without a weights folder, let Keras download what is missing.

    Raises:
        WeightsError: they cannot be had, or are damaged. The message names the file and the ways to get it.
    """
    found = locate(backbone, weights_dir=weights_dir)
    if found:
        return found
    place = folder(weights_dir)
    if not backbone.downloadable or place:
        raise WeightsError(_missing(backbone, place))
    return _download(backbone)


def fetch(backbone: Backbone, *, weights_dir: Path | None = None) -> WeightsFile:
    """Download the official weights into Keras' own cache and, where a weights folder is named, keep them there too.

    Raises:
        WeightsError: they cannot be had; for weights that Keras does not offer, the message says how to convert them.
    """
    place = folder(weights_dir)
    if not backbone.downloadable:
        return require(backbone, weights_dir=weights_dir)
    official = _from_keras_cache(backbone) or _download(backbone)
    return _keep(backbone, official, place) if place else official


def status(backbones: Iterable[Backbone] = (), *, weights_dir: Path | None = None) -> tuple[WeightsStatus, ...]:
    """Return one row for every backbone that has official weights; every file found is checked."""
    rows = tuple(backbones) or tuple(CATALOG.values())
    folder(weights_dir)
    return tuple(_status(row, weights_dir) for row in rows if row.pretrained)


def found(*, weights_dir: Path | None = None) -> list[WeightsFile]:
    """Return the weights that are there, in the order of the catalogue; raises WeightsError as ``locate`` does."""
    files = (locate(row, weights_dir=weights_dir) for row in CATALOG.values() if row.pretrained)
    return [file for file in files if file]


def none_found(weights_dir: Path | None) -> str:
    """Return what to say where no pretrained weights are found at all."""
    place = folder(weights_dir)
    looked = f"{place} and " if place else ""
    return (
        f"No pretrained weights were found (in {looked}{_keras_cache()}). Fetch some: headstart weights fetch "
        f"{' '.join(FIRST)}; or name the folder where they lie with --weights-dir or {ENVIRONMENT_VARIABLE}; or train "
        "a small network from scratch: --backbones small_cnn."
    )


def load(model: keras.Model, file: WeightsFile) -> None:
    """Load the arrays of a weights file into a network that was built here; nothing else of the file is used.

    A network of one input channel gets the first kernel summed over its input channels: what the network of three
    channels computes where all three are equal.

    Raises:
        WeightsError: the file cannot be read, or its arrays are not those of the network.
        UsageError: the network has one input channel, and its backbone needs three.
    """
    if model.input_shape[-1] == 1:
        _load_summed(model, file)
        return
    try:
        if file.path.suffix in arrays.READERS:
            _load_arrays(model, file)
        else:
            _load_hdf5(model, file.path)
    except (OSError, ValueError, KeyError, EOFError, UserWarning, zipfile.BadZipFile) as error:
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"{file.path} does not fit {file.backbone}: {reason}") from error


def _load_hdf5(model: keras.Model, path: Path) -> None:
    in_file = _count_numbers(path)
    if in_file != model.count_params():
        raise ValueError(
            f"it holds {in_file:,} numbers, the network without its classifier has {model.count_params():,}."
        )
    with warnings.catch_warnings():
        # Keras warns of layers that it leaves as they were; here that is an error
        warnings.simplefilter("error", UserWarning)
        model.load_weights(str(path))


def _load_arrays(model: keras.Model, file: WeightsFile) -> None:
    if file.backbone not in arrays.CONVERTERS:
        raise ValueError(f"{file.path.suffix} is read for {', '.join(arrays.CONVERTERS)} only. Give .weights.h5.")
    with file.path.open("rb") as stream:
        found = arrays.READERS[file.path.suffix](stream)
    for layer, values in arrays.CONVERTERS[file.backbone](found).items():
        model.get_layer(layer).set_weights(list(values))


def _load_summed(model: keras.Model, file: WeightsFile) -> None:
    """Load a file of three input channels into a network of one."""
    backbone = find(file.backbone)
    backbone.check_channels(1)
    twin = architectures.build(backbone, image_size=model.input_shape[1])
    load(twin, file)
    first = next(layer for layer in twin.layers if layer.weights)
    if not isinstance(first, keras_module().layers.Conv2D):
        raise WeightsError(
            f"{backbone.name} cannot take grey images with pretrained weights: its first layer with weights, "
            f'{first.name}, is no convolution. Use colour = "rgb" or random weights.'
        )
    for layer, source in zip(model.layers, twin.layers, strict=True):
        values = source.get_weights()
        if source is first:
            values[0] = values[0].sum(axis=2, keepdims=True)
        layer.set_weights(values)


def _from_folder(backbone: Backbone, path: Path) -> WeightsFile:
    entry = _index(path.parent).get(backbone.name, {})
    sha256 = _sha256(path)
    expected = str(entry.get("sha256", ""))
    if expected and expected != sha256:
        raise WeightsError(
            f"{path} is damaged or another file: its SHA-256 is {sha256}, {INDEX} beside it says {expected}. "
            "Get the file again, or correct its entry."
        )
    origin, licence = str(entry.get("origin", "")), str(entry.get("licence", ""))
    return WeightsFile(backbone.name, path, sha256, origin, licence, checked=bool(expected))


def _index(place: Path) -> dict[str, dict[str, Any]]:
    """Return the content of ``weights.json``, empty when there is none."""
    path = place / INDEX
    if not path.is_file():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsError(f"{path} is not JSON: {error}.") from error
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise WeightsError(f"{path} should map backbones to entries such as {{'sha256': ..., 'licence': ...}}.")
    return entries


def _from_keras_cache(backbone: Backbone) -> WeightsFile | None:
    path = _keras_cache() / backbone.cached_as
    if not backbone.cached_as or not path.is_file():
        return None
    expected = backbone.cached_md5
    algorithm = "sha256" if len(expected) == 64 else "md5"
    if expected and expected != _digest(path, algorithm):
        raise WeightsError(
            f"{path} is damaged: its {algorithm.upper()} is {_digest(path, algorithm)}, Keras publishes {expected}. "
            f"Delete it, then: headstart weights fetch {backbone.name}"
        )
    checked, origin = bool(expected), backbone.weights_source
    return WeightsFile(backbone.name, path, _sha256(path), origin, backbone.licence, checked)


def _keras_cache() -> Path:
    """Return Keras' folder of downloaded weights, as Keras chooses it, without importing Keras."""
    chosen = os.environ.get("KERAS_HOME")
    if chosen:
        return Path(chosen) / "models"
    home = Path.home()
    return (home if os.access(home, os.W_OK) else Path("/tmp")) / ".keras" / "models"


def _download(backbone: Backbone) -> WeightsFile:
    """Let Keras download the official weights into its cache: it knows their address and checksum."""
    network = getattr(keras_module().applications, backbone.builder)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            network(
                include_top=False, weights="imagenet", input_shape=(backbone.default_size, backbone.default_size, 3)
            )
    except Exception as error:  # Keras raises a bare Exception when an address cannot be reached
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"{_missing(backbone, None)} The download failed: {reason}") from error
    found = _from_keras_cache(backbone)
    if not found:
        raise WeightsError(f"Keras did not leave {backbone.cached_as} in {_keras_cache()}.")
    return found


def _missing(backbone: Backbone, place: Path | None) -> str:
    if not backbone.pretrained:
        return f"{backbone.name} has no pretrained weights: it starts from random ones. Ask for {backbone.name}:random."
    name = f"{backbone.name}.weights.h5"
    tried = f"there is no {place / name}" if place else "no weights folder is named"
    if not backbone.downloadable:
        origin = backbone.weights_source.partition(";")[0]
        return (
            f"The weights of {backbone.name} are missing: {tried}. Keras does not offer them: convert those of "
            f"{origin} into {backbone.name}.npz or {backbone.name}.safetensors (docs/weights.md says "
            f"how), put the file into a folder and name the folder with --weights-dir or {ENVIRONMENT_VARIABLE}; or "
            f"start from random weights: {backbone.name}:random."
        )
    return (
        f"The weights of {backbone.name} are missing: {tried} and there is no {_keras_cache() / backbone.cached_as}. "
        f"Put {name} into a folder and name the folder with --weights-dir or {ENVIRONMENT_VARIABLE}; or, with a "
        f"network, run: headstart weights fetch {backbone.name}; or start from random weights: {backbone.name}:random."
    )


def _keep(backbone: Backbone, official: WeightsFile, place: Path) -> WeightsFile:
    """Write the official weights as ``<backbone>.weights.h5`` into a weights folder, with an entry in its index."""
    model = architectures.build(backbone, image_size=backbone.minimum_size)
    load(model, official)
    path = place / f"{backbone.name}.weights.h5"
    partial = place / f".{os.getpid()}.{path.name}"
    model.save_weights(str(partial))
    partial.replace(path)
    entry = {
        "file": path.name,
        "bytes": path.stat().st_size,
        "sha256": _sha256(path),
        "parameters": model.count_params(),
        "origin": official.origin,
        "licence": official.licence,
    }
    storage.write_json(place / INDEX, _index(place) | {backbone.name: entry})
    return _from_folder(backbone, path)


def _status(backbone: Backbone, weights_dir: Path | None) -> WeightsStatus:
    try:
        file = locate(backbone, weights_dir=weights_dir)
    except WeightsError as error:
        return WeightsStatus(backbone.name, "damaged", None, str(error))
    if file:
        return WeightsStatus(backbone.name, "found", file, "")
    way = f"headstart weights fetch {backbone.name}" if backbone.downloadable else "docs/weights.md says how"
    return WeightsStatus(backbone.name, "missing", None, way)


def _count_numbers(path: Path) -> int:
    """Return how many numbers the arrays of an HDF5 weights file hold."""
    import h5py

    sizes: list[int] = []

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            sizes.append(int(item.size))

    with h5py.File(path, "r") as file:
        # a whole Keras model keeps its optimizer's state beside the weights
        file.get("model_weights", file).visititems(note)
    return sum(sizes)


def _sha256(path: Path) -> str:
    return _digest(path, "sha256")


def _digest(path: Path, algorithm: str) -> str:
    facts = path.stat()
    return _digest_once(path, algorithm, facts.st_size, facts.st_mtime_ns)


@functools.cache
def _digest_once(path: Path, algorithm: str, size: int, modified_ns: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()
