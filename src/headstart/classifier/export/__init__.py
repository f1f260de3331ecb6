"""A classifier in other formats, each run and compared with the classifier before it is handed over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart import storage
from headstart.classifier.bundle import Bundle, open_bundle
from headstart.classifier.export import bundle_zip, keras, litert, onnx, openvino, parity, pictures, rebuild, target
from headstart.classifier.export.certificate import Certificate, FormatParity, Quantization
from headstart.classifier.export.comparison import Pixels, Reference, Runtime, compare, pixels_of
from headstart.classifier.export.formats import Format
from headstart.classifier.export.note import input_in_words, make_note
from headstart.classifier.export.packages import version_of
from headstart.classifier.export.pictures import Pictures
from headstart.errors import UsageError, did_you_mean
from headstart.progress import SILENT, Progress
from headstart.version import __version__

__all__ = ["FORMATS", "Certificate", "FormatParity", "Quantization", "export", "place"]

FORMATS = {one.name: one for one in (onnx.FORMAT, openvino.FORMAT, keras.FORMAT, litert.FORMAT, bundle_zip.FORMAT)}

MOST_CALIBRATION_IMAGES = 300
FEWEST_INT8_IMAGES = 50


@dataclass(frozen=True, slots=True, eq=False)
class _Checks:
    """What a file is checked against, and on which pictures.

    Attributes:
        data: the images given; for int8 those that are not among ``calibration``.
        calibration: pixels that set the ranges of int8; None: float32.
    """

    bundle: Bundle
    reference: Reference
    data: Pictures | None
    calibration: list[Pixels] | None
    progress: Progress


def export(
    path: str | Path,
    to: str,
    *,
    out: str | Path | None = None,
    data: str | Path | None = None,
    int8: bool = False,
    force: bool = False,
    progress: Progress = SILENT,
) -> Certificate:
    """Write a classifier in another format, check that it says the same, and return the certificate.

    The certificate lies beside the file, as ``<file>.certificate.json``. Probabilities in the file are calibrated.

    Args:
        to: one of ``FORMATS``.
        out: the file, or the folder it shall lie in; None: beside the classifier.
        data: images to check it on, and to take the ranges of int8 from: DATA in any form, or a folder of images.
        int8: arithmetic in 8 bits; ``onnx`` and ``openvino`` only.
        force: replace a file that is no earlier export.

    Raises:
        ExportError: the file does not say what the classifier says, or int8 costs too much; nothing is left of it.
        UsageError: there is no such format, or something else stands where the file should be, or that is in the
            classifier itself.
        MissingExtraError: a package of the extra ``export`` is not installed.
        ClassifierError: it is no classifier, or one that only ``openvino`` and ``zip`` can hold.
    """
    chosen = _checked(to, int8=int8, data=data)
    bundle = open_bundle(path)
    file = place(path, to, out=out, int8=int8)
    target.check_free(file, bundle.path, to=to, force=force)
    if chosen.rebuilt:
        rebuild.parts(bundle)
    chosen.check_packages(int8)
    checks = _prepare(bundle, data, int8=int8, progress=progress)
    with target.staged(file) as draft:
        progress.say(f"Writing {file}")
        note = make_note(bundle.info, any_size=chosen.any_size, int8=int8)
        chosen.write(bundle, draft, note, checks.calibration)
        certificate = _certificate(chosen, draft, checks)
        storage.write_json(target.certificate_of(draft), certificate)
    return certificate


def place(path: str | Path, to: str, *, out: str | Path | None = None, int8: bool = False) -> Path:
    """Return where ``export`` writes its file.

    Raises:
        UsageError: there is no such format, or ``out`` ends otherwise than its files do.
    """
    return target.choose(Path(path), Path(out) if out else None, suffix=_named(to).suffix, int8=int8)


def _named(to: str) -> Format:
    if to not in FORMATS:
        raise UsageError(f"--to must be {', '.join(FORMATS)}. Received: {to!r}.{did_you_mean(to, FORMATS)}")
    return FORMATS[to]


def _checked(to: str, *, int8: bool, data: str | Path | None) -> Format:
    chosen = _named(to)
    if int8 and not chosen.int8:
        able = " or ".join(one.name for one in FORMATS.values() if one.int8)
        raise UsageError(f"--int8 works with --to {able} only. Received: --to {to}.")
    if int8 and data is None:
        raise UsageError("--int8 takes the ranges of its numbers from images. Name some: --data DATA.")
    return chosen


def _prepare(bundle: Bundle, data: str | Path | None, *, int8: bool, progress: Progress) -> _Checks:
    reference = Reference(bundle)
    images = pictures.read(data, progress=progress) if data else None
    if not int8:
        return _Checks(bundle, reference, images, None, progress)
    assert images is not None, "int8 has data"
    calibration, measured = _divided(images)
    pixels = list(pixels_of(calibration, reference.size))
    if not pixels:
        raise UsageError(f"No image of {images.name} can be read. Give --data images that can.")
    return _Checks(bundle, reference, measured, pixels, progress)


def _divided(images: Pictures) -> tuple[Pictures, Pictures]:
    """Return images to take ranges from, half of all but at most 300, drawn by a fixed seed, and the others."""
    count = len(images.names)
    if count < FEWEST_INT8_IMAGES:
        raise UsageError(f"--int8 needs at least {FEWEST_INT8_IMAGES} images in --data. Received: {count}.")
    order = np.random.default_rng(0).permutation(count)
    share = min(MOST_CALIBRATION_IMAGES, count // 2)
    calibration, measured = np.sort(order[:share]).tolist(), np.sort(order[share:]).tolist()
    return images.subset(calibration), images.subset(measured)


def _certificate(chosen: Format, file: Path, checks: _Checks) -> Certificate:
    """Open a written file with its own program, run it, and say how close it came.

    Raises:
        ExportError: not close enough.
    """
    info, runtime, companion = checks.bundle.info, chosen.open(file), target.companion_of(file)
    probes, data, int8 = _checked_on(chosen, runtime, checks)
    return Certificate(
        headstart=__version__,
        format=chosen.name,
        file=file.name,
        sha256=storage.sha256_of(file),
        bytes=file.stat().st_size + (companion.stat().st_size if companion else 0),
        weights_sha256=storage.sha256_of(companion) if companion else "",
        input=chosen.input or input_in_words(info, any_size=chosen.any_size),
        fixed_because=chosen.fixed_because,
        engine=runtime.engine,
        reference=f"{version_of('openvino')} in f32",
        classifier=info.provenance.candidate,
        training=info.provenance.fingerprint,
        classes=info.classes,
        rule=parity.INT8_RULE if int8 else parity.RULE,
        tolerance=parity.INT8_TOLERANCE if int8 else parity.TOLERANCE,
        probes=probes,
        data=data,
        int8=int8,
    )


def _checked_on(
    chosen: Format, runtime: Runtime, checks: _Checks
) -> tuple[FormatParity, FormatParity | None, Quantization | None]:
    """Return how close a file came on the probes and on the data, and what int8 cost."""
    classes = checks.bundle.info.classes
    generated = pictures.probe_pictures(checks.bundle)
    probes = compare(runtime, checks.reference, generated, progress=checks.progress)
    data = compare(runtime, checks.reference, checks.data, progress=checks.progress) if checks.data else None
    if checks.calibration is None:
        found = parity.check(probes, classes, runtime.engine)
        return found, parity.check(data, classes, runtime.engine) if data else None, None
    assert data is not None, "int8 has data"
    cost = parity.check_int8(data, classes, method=chosen.int8, calibration=len(checks.calibration))
    return parity.measure(probes), parity.measure(data), cost
