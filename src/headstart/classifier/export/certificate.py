"""The certificate of an exported file: what was written, on which pictures it was run, and how close it came."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FormatParity:
    """How close a file comes to the classifier on some pictures.

    Attributes:
        images: pictures compared.
        unreadable: pictures left out.
        same_answer: pictures with the same most probable class.
        near_ties: pictures with another one, the classifier's two highest closer than ``parity.TOLERANCE``.
        largest_difference: of two probabilities, 0..1.
        mean_difference: over the pictures, of each one's largest difference.
    """

    images: int
    unreadable: int
    same_answer: int
    near_ties: int
    largest_difference: float
    mean_difference: float


@dataclass(frozen=True, slots=True)
class Quantization:
    """What 8-bit arithmetic cost.

    Attributes:
        method: who made it, and how.
        calibration_images: from whose activations the ranges were taken.
        measured_images: on which the cost was measured; others than those.
        accuracy_before, accuracy_after: the classifier's and the file's; None where the images have no labels.
        agreement: share of the measured images with the same most probable class.
        mean_difference: over them, of each one's largest difference of two probabilities.
    """

    method: str
    calibration_images: int
    measured_images: int
    accuracy_before: float | None
    accuracy_after: float | None
    agreement: float
    mean_difference: float


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was written and what it was checked on.

    Attributes:
        format: ``onnx``, ``openvino``, ``keras``, ``litert`` or ``zip``.
        file: name of the exported file; its certificate lies beside it.
        sha256, bytes: of that file.
        weights_sha256: of the second file of ``openvino``; else empty.
        input: what the file takes; ``fixed_because`` says why not images of any size, and is empty where it takes them.
        engine, reference: what ran the file, and what ran the classifier.
        classifier: the candidate's name in its study; ``training`` is the fingerprint of the images it learned from.
        rule, tolerance: what was demanded; the tolerance is for every probability, for int8 for ``mean_difference``.
        probes, data: how close it came; ``data`` is None without --data.
        int8: None for a file in float32.
    """

    headstart: str
    format: str
    file: str
    sha256: str
    bytes: int
    weights_sha256: str
    input: str
    fixed_because: str
    engine: str
    reference: str
    classifier: str
    training: str
    classes: tuple[str, ...]
    rule: str
    tolerance: float
    probes: FormatParity
    data: FormatParity | None
    int8: Quantization | None

    def words(self) -> str:
        """Return the certificate in a few lines for people."""
        lines = [
            f"Size:    {self.bytes / 1e6:,.1f} MB",
            f"Input:   {self.input}",
            f"Checked: {self.engine} against {self.reference}",
            f"         {_of_parity(self.probes, 'generated pictures')}",
        ]
        if self.data:
            lines.append(f"         {_of_parity(self.data, 'images of the data')}")
        if self.int8:
            lines.append(f"Int8:    {_of_int8(self.int8)}")
        if self.fixed_because:
            lines.append(f"Note:    images of one size only: {self.fixed_because}.")
        return "\n".join(lines)


def _of_parity(found: FormatParity, what: str) -> str:
    ties = f" (of the others {found.near_ties:,} were as good as tied)" if found.near_ties else ""
    left_out = f"; {found.unreadable:,} could not be read" if found.unreadable else ""
    return (
        f"{found.images:,} {what}: same answer on {found.same_answer:,}{ties}, probabilities at most "
        f"{found.largest_difference:.1e} apart{left_out}"
    )


def _of_int8(found: Quantization) -> str:
    measured = f"{found.measured_images:,} images, none of the {found.calibration_images:,} that set its ranges"
    parts = [f"same answer on {found.agreement:.1%}", f"probabilities {found.mean_difference:.3f} apart in the mean"]
    if found.accuracy_before is not None and found.accuracy_after is not None:
        parts.insert(0, f"accuracy {found.accuracy_before:.4f} before, {found.accuracy_after:.4f} after")
    return f"on {measured}: {'; '.join(parts)}"
