"""How numbers read on the page: one function per kind of number, so that the same number always looks the same."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

THIN = "\u202f"
"""A narrow space that does not break, between a number and its unit."""

NONE = "\u2013"


def percent(share: float) -> str:
    """Return a share in 0..1 as a percentage; 100.0 % only for exactly all, 0.0 % only for exactly none."""
    return _percentage(share, 1)


def fine_percent(share: float) -> str:
    """Return a share in 0..1 as a percentage with two decimals, as it is published."""
    return _percentage(share, 2)


def _percentage(share: float, places: int) -> str:
    text, least = f"{100 * share:.{places}f}", 10.0**-places
    if float(text) == 100 and share < 1:
        return f">{THIN}{100 - least:.{places}f}{THIN}%"
    if float(text) == 0 and share > 0:
        return f"<{THIN}{least:.{places}f}{THIN}%"
    return f"{text}{THIN}%"


def points(share: float) -> str:
    """Return a spread of shares in percentage points."""
    return f"{100 * share:.1f}"


def signed_points(share: float) -> str:
    """Return a difference of shares in percentage points with its sign."""
    return _signed(100 * share, 1)


def signed_decimals(value: float) -> str:
    """Return a difference of losses or ratios with its sign."""
    return _signed(value, 3)


def signed_count(value: float) -> str:
    """Return a difference of whole numbers with its sign."""
    return _signed(value, 0)


def _signed(value: float, places: int) -> str:
    text = f"{value:+,.{places}f}"
    return (text if float(text.replace(",", "")) else text[1:]).replace("-", "\u2212")


def probability(value: float) -> str:
    """Return a p-value."""
    return f"<{THIN}0.001" if value < 0.001 else f"{value:.3f}"


def rate(value: float) -> str:
    """Return a learning rate."""
    return f"{value:g}"


def decimals(value: float) -> str:
    """Return a loss with three decimals."""
    return f"{value:.3f}"


def hundredths(value: float) -> str:
    """Return a temperature or a mean rank with two decimals."""
    return f"{value:.2f}"


def fine_decimals(value: float) -> str:
    """Return a loss with four decimals, as it is published."""
    return f"{value:.4f}"


def ratio(value: float) -> str:
    """Return an area or F1 in 0..1 with three decimals; 1.000 only for exactly 1."""
    text = f"{value:.3f}"
    return f">{THIN}0.999" if text == "1.000" and value < 1 else text


def short_ratio(value: float) -> str:
    """Return the end of a ratio's interval with two decimals; 1.00 only for exactly 1."""
    text = f"{value:.2f}"
    return f">{THIN}0.99" if text == "1.00" and value < 1 else text


def count(value: float) -> str:
    """Return a whole number with separators."""
    return f"{value:,.0f}"


def epoch(value: float) -> str:
    """Return a mean number of epochs."""
    return f"{value:.1f}".removesuffix(".0")


def megabytes(size: float) -> str:
    """Return a number of bytes in the decimal unit that suits its size."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.{0 if size >= 100 * scale else 1}f}{THIN}{unit}"
    return f"{size:.0f}{THIN}bytes"


def milliseconds(value: float) -> str:
    """Return milliseconds with two significant digits or more."""
    return f"{value:.{0 if value >= 100 else 1 if value >= 1 else 2}f}{THIN}ms"


def step_time(seconds: float) -> str:
    """Return the seconds of one step in milliseconds."""
    return milliseconds(1000 * seconds)


def seconds(value: float) -> str:
    """Return a length of time in the units that suit its size."""
    if value < 120:
        return f"{value:.{0 if value >= 20 else 1}f}{THIN}s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes}{THIN}min {rest:02d}{THIN}s"
    hours, minutes = divmod(round(value / 60), 60)
    return f"{hours}{THIN}h {minutes:02d}{THIN}min"


def per_second(value: float) -> str:
    """Return a speed in images per second."""
    return f"{value:,.0f}{THIN}/{THIN}s" if value >= 10 else f"{value:.1f}{THIN}/{THIN}s"


KINDS: Mapping[str, Callable[[float], str]] = {
    function.__name__: function
    for function in (
        percent,
        fine_percent,
        points,
        signed_points,
        signed_decimals,
        signed_count,
        fine_decimals,
        hundredths,
        probability,
        rate,
        decimals,
        ratio,
        short_ratio,
        count,
        epoch,
        megabytes,
        milliseconds,
        step_time,
        seconds,
        per_second,
    )
}


def written(value: float | None, kind: str) -> str:
    """Return a number as text, or a dash where there is none."""
    return NONE if value is None or not math.isfinite(value) else KINDS[kind](value)


def escaped(word: str) -> str:
    """Return a word as one step of a pointer."""
    return word.replace("~", "~0").replace("/", "~1")


def look_up(documents: Mapping[str, Any], pointer: str) -> Any:
    """Return the value at a pointer such as ``summary/test/per_class/0/recall``; None where the way ends early.

    In a word, ``~1`` stands for a slash and ``~0`` for a tilde, as in RFC 6901.

    The words are those of the JSON files: fields of dataclasses, keys of dicts, positions in tuples.
    """
    name, *way = pointer.split("/")
    value = documents[name]
    for word in (step.replace("~1", "/").replace("~0", "~") for step in way):
        if value is None:
            return None
        if dataclasses.is_dataclass(value):
            value = getattr(value, "class_" if word == "class" else word)
        elif isinstance(value, Mapping):
            value = value.get(word)
        else:
            value = value[int(word)]
    return value
