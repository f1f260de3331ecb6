"""What an audit finds, as frozen dataclasses: the keys of ``audit.json``."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SetAside:
    """A file that takes no part, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Leak:
    """Equal images in more than one of the given splits; ``kind`` is ``exact`` or ``near``."""

    kind: str
    paths: tuple[str, ...]
    splits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WrongExtension:
    """An image whose name ends as another format's does; ``format`` is the real one."""

    path: str
    format: str


@dataclass(frozen=True, slots=True)
class Span:
    """Pixels: smallest, median and largest."""

    smallest: int
    median: int
    largest: int


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of the images that take part, upright.

    ``shapes`` is the number of distinct sizes, ``small`` that of images with a side below 64 pixels; ``elongated``
    are paths of images of which one side is more than three times the other.
    """

    width: Span
    height: Span
    shapes: int
    small: int
    elongated: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Atypical:
    """An image that is unlike its class; ``nearest`` is the class it is most like, ``score`` how far it is out."""

    path: str
    label: str
    nearest: str
    score: float


@dataclass(frozen=True, slots=True)
class Audit:
    """The whole of ``audit.json``; groups of paths are sorted. ``counts`` maps split to class to number of images.

    Near duplicates are groups of at least two different pictures that a pixel comparison confirmed, exact copies of
    them included. ``rotated`` are paths of images that EXIF data turn upright; ``colour_modes`` maps the mode of the
    files (RGB, L, CMYK, ...) to a number of images. ``dark``, ``blank`` and ``blurred`` are paths. ``atypical`` and
    ``similar`` (groups) come from features, and are empty before there are any.
    """

    set_aside: tuple[SetAside, ...]
    exact_duplicates: tuple[tuple[str, ...], ...]
    near_duplicates: tuple[tuple[str, ...], ...]
    label_conflicts: tuple[tuple[str, ...], ...]
    leaks: tuple[Leak, ...]
    counts: dict[str, dict[str, int]]
    warnings: tuple[str, ...]
    wrong_extensions: tuple[WrongExtension, ...] = ()
    rotated: tuple[str, ...] = ()
    colour_modes: dict[str, int] = field(default_factory=dict)
    sizes: Sizes | None = None
    dark: tuple[str, ...] = ()
    blank: tuple[str, ...] = ()
    blurred: tuple[str, ...] = ()
    atypical: tuple[Atypical, ...] = ()
    similar: tuple[tuple[str, ...], ...] = ()
