"""Where the tail begins: from what a recipe says to the number of the first layer that trains."""

from __future__ import annotations

import re
from collections.abc import Sequence

from headstart.errors import did_you_mean

NUMBERED = re.compile(r"(last|from) (\d+)")
NAMED = re.compile(r"from (\S+)")


def is_cut(trainable: str) -> bool:
    """Tell whether a text has the form of a cut: none, all, last N, from N or from NAME."""
    return trainable in ("none", "all") or bool(NAMED.fullmatch(trainable) or NUMBERED.fullmatch(trainable))


def first_layer(trainable: str, layers: int, names: Sequence[str] = ()) -> int:
    """Return the number of the first layer that trains: 0 for all, ``layers`` for none.

    Args:
        layers: how many the backbone has, its input included.
        names: of all of them in order; only looked at for ``from NAME``.

    Raises:
        ValueError: the backbone has no such layer; the message says what it has.
    """
    if trainable == "none":
        return layers
    if trainable == "all":
        return 0
    if match := NUMBERED.fullmatch(trainable):
        kind, number = match[1], int(match[2])
        if not (1 <= number <= layers if kind == "last" else number < layers):
            valid = f"last 1 to last {layers}" if kind == "last" else f"from 0 to from {layers - 1}"
            raise ValueError(f"the network has {layers} layers: {valid}.")
        return layers - number if kind == "last" else number
    wanted = trainable.removeprefix("from ")
    if wanted not in names:
        raise ValueError(f"the network has no layer {wanted!r}.{did_you_mean(wanted, names)}")
    return list(names).index(wanted)
