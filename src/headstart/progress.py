"""Progress events. Rooms report what they do; the command line draws it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Progress:
    """A listener that shows nothing. The command line passes one that draws bars."""

    def say(self, text: str) -> None:
        """Tell the user one line of plain text."""

    @contextmanager
    def track(self, name: str, *, total: int, unit: str) -> Iterator[Callable[[int], None]]:
        """Announce a long step of ``total`` units; the yielded function is called with each number done."""
        yield lambda done: None


SILENT = Progress()
