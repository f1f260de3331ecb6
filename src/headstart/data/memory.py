"""What was found out once and is remembered: folders of JSON-lines files below the cache.

Each file is written once, whole, under a name made from its content, so that a crash or a second process can spoil
nothing; a damaged line is only a miss.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from headstart import storage


def remembered(folder: Path | None) -> Iterator[Any]:
    """Yield the plain values of all lines; None: there is no memory."""
    for file in sorted(folder.glob("*.jsonl")) if folder else []:
        try:
            lines = file.read_bytes().splitlines()
        except OSError:
            continue
        for line in lines:
            try:
                value = json.loads(line)
            except ValueError:
                continue
            yield value


def remember(folder: Path, values: Iterable[object]) -> None:
    """Add plain values, one line each; nothing is written for none."""
    content = "".join(json.dumps(value) + "\n" for value in values).encode()
    if content:
        storage.write_bytes(folder / f"{hashlib.sha256(content).hexdigest()[:32]}.jsonl", content)
