"""New files in a folder, found by looking again and again: that works on every file system and over networks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from headstart.classifier.inputs import find_below
from headstart.errors import DataError, UsageError

INTERVAL = 0.5
"""Seconds between two looks."""

SETTLED = 1.0
"""Seconds for which a file must have kept its size and time before it is taken for finished."""

EMPTY = 10.0
"""The same for a file without content: who writes it may have only begun."""

UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".download", ".filepart")
"""Endings of files that programs rename when they are whole."""

State = tuple[int, int]


@dataclass(slots=True)
class _Seen:
    """A file that is not yet finished: its size and time, and since when (monotonic seconds) it has had them."""

    state: State
    since: float


class Watch:
    """Finds the files that appear or change below a folder.

    Files that are there when the watch begins are not new, but they are once they change.

    Args:
        folder: to watch, with all folders below it.
        leave_out: a folder in it that is not watched.
    """

    def __init__(
        self, folder: Path, *, leave_out: Path | None = None, interval: float = INTERVAL, settled: float = SETTLED
    ) -> None:
        if not folder.is_dir():
            raise UsageError(f"There is no folder {folder} to watch. Check the spelling.")
        self._folder, self._leave_out = folder, leave_out
        self._interval, self._settled = interval, settled
        self._known: dict[Path, State] = dict(self._states())
        self._growing: dict[Path, _Seen] = {}

    def know(self, files: Iterable[Path]) -> None:
        """Take files for known that are answered otherwise."""
        real = {file.resolve() for file in files}
        self._known |= {path: state for path, state in self._states() if path.resolve() in real}

    def batches(self, stopped: Callable[[], bool]) -> Iterator[list[Path]]:
        """Yield new files as they are finished, those of one look together, until ``stopped`` says so.

        Raises:
            UsageError: the folder is gone.
        """
        while not stopped():
            start = time.monotonic()
            if files := self.look():
                yield files
                continue
            # looking takes long in large folders: it shall not take more than a fifth of the time
            end = time.monotonic() + max(self._interval, 4 * (time.monotonic() - start))
            while not stopped() and (left := end - time.monotonic()) > 0:
                time.sleep(min(left, INTERVAL))

    def look(self) -> list[Path]:
        """Look once; return the new files that are finished, in order."""
        if not self._folder.is_dir():
            raise UsageError(f"The folder {self._folder} is gone, so the watch has ended.")
        now, states = time.monotonic(), self._states_now()
        self._known = {path: state for path, state in self._known.items() if path in states}
        new = {path: state for path, state in states.items() if self._known.get(path) != state}
        self._growing = {path: self._seen(path, state, now) for path, state in new.items()}
        finished = [path for path, seen in self._growing.items() if self._is_finished(seen, now)]
        for path in finished:
            self._known[path] = self._growing.pop(path).state
        return finished

    def _seen(self, path: Path, state: State, now: float) -> _Seen:
        earlier = self._growing.get(path)
        return earlier if earlier and earlier.state == state else _Seen(state, now)

    def _is_finished(self, seen: _Seen, now: float) -> bool:
        return now - seen.since >= (self._settled if seen.state[0] else max(EMPTY, self._settled))

    def _states_now(self) -> dict[Path, State]:
        try:
            return dict(self._states())
        except DataError as error:
            # a folder in it may vanish while it is listed: the next look will not find it
            if isinstance(error.__cause__, FileNotFoundError):
                return self._known
            raise

    def _states(self) -> Iterator[tuple[Path, State]]:
        """Yield every file with its size and its time in nanoseconds."""
        for path in find_below(self._folder, self._leave_out):
            if path.suffix.lower() in UNFINISHED:
                continue
            try:
                found = path.stat()
            except OSError:
                # it vanished after the folder was listed
                continue
            yield path, (found.st_size, found.st_mtime_ns)
