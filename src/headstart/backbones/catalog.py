"""The catalogue: one row per backbone, with everything needed to use it right. Light: no Keras here.

A new row stands in ``rows``: it needs its numbers, and either a network of ``keras.applications`` or a function of
``own_networks`` as its ``builder``. The tests run over every row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from headstart.backbones.backbone import (
    AS_THEY_ARE,
    CAFFE,
    MINUS_ONE_TO_ONE,
    TORCH,
    ZERO_TO_ONE,
    Backbone,
    Preprocessing,
    Published,
)
from headstart.backbones.rows import ROWS
from headstart.errors import UsageError, did_you_mean

__all__ = [
    "AS_THEY_ARE",
    "CAFFE",
    "CATALOG",
    "MINUS_ONE_TO_ONE",
    "TORCH",
    "ZERO_TO_ONE",
    "Backbone",
    "Preprocessing",
    "Published",
    "find",
]

CATALOG: Mapping[str, Backbone] = MappingProxyType({row.name: row for row in ROWS})


def find(name: str) -> Backbone:
    """Return the row called ``name``; ``MobileNetV2`` and ``mobilenet-v2`` also name ``mobilenet_v2``.

    Raises:
        UsageError: there is no such backbone.
    """
    by_letters = {_letters(row.name): row for row in CATALOG.values()}
    row = by_letters.get(_letters(name))
    if row is None:
        hint = did_you_mean(name.lower(), CATALOG)
        raise UsageError(f"There is no backbone {name!r}.{hint} All {len(CATALOG)} are listed by: headstart backbones")
    return row


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
