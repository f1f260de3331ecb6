"""What a format is: how its files are written, and opened by the program they are meant for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.classifier.bundle import Bundle
from headstart.classifier.export.comparison import Pixels, Runtime
from headstart.classifier.export.note import Note

Calibration = Sequence[Pixels] | None
"""Pixels ``(1, height, width, 3)`` whose activations set the ranges of int8; None: float32."""


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    Attributes:
        suffix: with which its files end.
        check_packages: raises where the export could not work, ``int8`` or not: MissingExtraError, ExportError.
        write: writes a bundle; raises ClassifierError or ExportError where this format cannot hold it.
        open: opens a written file.
        fixed_because: why it takes images of the network's size only; empty where it takes images of any size.
        int8: who computes in 8 bits, and how; empty where nobody does.
        input: what its files take, where that is not pixels.
        rebuilt: whether the network is built anew in Keras, which not every bundle says enough for.
    """

    name: str
    suffix: str
    check_packages: Callable[[bool], None]
    write: Callable[[Bundle, Path, Note, Calibration], None]
    open: Callable[[Path], Runtime]
    fixed_because: str = ""
    int8: str = ""
    input: str = ""
    rebuilt: bool = False

    @property
    def any_size(self) -> bool:
        """Whether its files take images of any size."""
        return not self.fixed_because
