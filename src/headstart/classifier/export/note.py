"""What an exported file says of itself: class names, input, temperature and where it comes from."""

from __future__ import annotations

import json
from dataclasses import dataclass

from headstart import storage
from headstart.classifier.info import ClassifierInfo
from headstart.features import graph
from headstart.version import __version__

NAME = "headstart"
"""Under which the note stands in a file."""

LABELS = "labels.txt"
"""Beside the note: one class per line, in the order of the probabilities."""


@dataclass(frozen=True, slots=True)
class Note:
    """The note, in a form that every format can hold.

    Attributes:
        classes: in the order of the probabilities.
        input: what the file takes, in words.
        height, width: of the network's input, in pixels.
        resize: ``stretch``, ``crop`` or ``pad``, with its filter; done inside where ``any_size``, else by the caller.
        output: what the file gives, in words.
        temperature: inside already: the probabilities are calibrated, the logits are not divided by it.
    """

    headstart: str
    classes: tuple[str, ...]
    input: str
    height: int
    width: int
    resize: str
    interpolation: str
    antialias: bool
    any_size: bool
    output: str
    temperature: float
    int8: bool
    candidate: str
    backbone: str
    licence: str
    training: str

    def as_strings(self) -> dict[str, str]:
        """Return the entries as texts: plain ones as they are, the others as JSON."""
        plain = storage.to_plain(self)
        return {
            key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for key, value in plain.items()
        }

    def as_json(self) -> str:
        """Return the note as a JSON object."""
        return storage.json_text(self) + "\n"

    def labels(self) -> str:
        """Return one class per line."""
        return "".join(f"{name}\n" for name in self.classes)


def make_note(info: ClassifierInfo, *, any_size: bool, int8: bool) -> Note:
    """Return the note for a classifier's file that takes images of ``any_size``, or of the network's own."""
    source, provenance = info.input, info.provenance
    return Note(
        headstart=__version__,
        classes=info.classes,
        input=input_in_words(info, any_size=any_size),
        height=source.height,
        width=source.width,
        resize=source.resize,
        interpolation=source.interpolation,
        antialias=source.antialias,
        any_size=any_size,
        output=f"{graph.PROBABILITIES}: calibrated, (images, classes); {graph.LOGITS}: (images, classes)",
        temperature=info.temperature,
        int8=int8,
        candidate=provenance.candidate,
        backbone=provenance.backbone,
        licence=provenance.licence,
        training=provenance.fingerprint,
    )


def input_in_words(info: ClassifierInfo, *, any_size: bool) -> str:
    """Return what a file takes as input."""
    if any_size:
        return f"{graph.IMAGE}: uint8 RGB (images, height, width, 3), any height and width"
    height, width = info.input.height, info.input.width
    return (
        f"{graph.IMAGE}: uint8 RGB (images, {height}, {width}, 3); bring images to {height} x {width} pixels first "
        f"({info.size.label}, as Pillow does)"
    )
