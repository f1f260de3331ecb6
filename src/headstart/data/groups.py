"""Which images belong together: declared groups, bursts of shots, exact and near duplicates, joined into final groups.

A group's id depends on as little as possible, because its images are split by it: the declared name where there is one,
else the file hash of one member (the smallest of duplicates, the first shot of a burst). An image that stands alone
is split by its own content, and stays where it is when a copy with the same bytes or a later shot of the same burst is
added; a copy in another encoding may rename its group, and so move it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from headstart.errors import UsageError

BURST_SECONDS = 2.0
"""Shots of one camera less than this after the one before belong to one burst."""


@dataclass(frozen=True, slots=True)
class Member:
    """What grouping needs to know of one image.

    ``pixels`` is the hash of what is seen on it, ``near`` a name that its near duplicates share.
    """

    path: str
    label: str
    sha256: str
    pixels: str
    declared: str = ""
    taken_at: str = ""
    camera: str = ""
    near: str = ""


Rule = Callable[[Member], str]


def group_rule(group_by: str) -> Rule:
    """Return the function that names an image's declared group; an empty name: the image is its own group.

    ``folder`` names the folders between the class folder and the file; a regular expression its first group or, without
    groups, its whole match on the path. Without a rule, and for ``exif-burst``, the name is the given one.

    Raises:
        UsageError: not a valid regular expression.
    """
    if group_by in ("", "exif-burst"):
        return lambda member: member.declared
    if group_by == "folder":
        return _folder
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise UsageError(
            f"--group-by must be folder, exif-burst or a regular expression. Received: {group_by!r} ({error})."
        ) from error
    return lambda member: _matched(pattern, member.path)


def content_group(sha256: str) -> str:
    """Return the id of the group around one image file; also the identity of an image that stands alone.

    Made from the file's bytes, not from its pixels: another version of a decoder must not move images between splits.
    """
    return f"image-{sha256[:16]}"


def group_ids(members: Sequence[Member], group_by: str) -> tuple[str, ...]:
    """Return the final group id of every member, empty for images that stand alone in no declared group."""
    rule = group_rule(group_by)
    declared = [rule(member) for member in members]
    bursts = _bursts(members) if group_by == "exif-burst" else []
    groups = Union(len(members))
    copies = (*_alike(member.pixels for member in members), *_alike(member.near for member in members))
    for together in (*copies, *_alike(declared), *bursts):
        groups.join(together)
    first_shots = {burst[0] for burst in bursts}
    ids = [""] * len(members)
    for component in groups.components():
        names = sorted({declared[index] for index in component} - {""})
        if names or len(component) > 1:
            anchors = [index for index in component if index in first_shots] or component
            name = names[0] if names else content_group(min(members[index].sha256 for index in anchors))
            for index in component:
                ids[index] = name
    return tuple(ids)


def _folder(member: Member) -> str:
    parents = PurePosixPath(member.path).parts[:-1]
    below = parents.index(member.label) + 1 if member.label in parents else 0
    return "/".join(parents[below:])


def _matched(pattern: re.Pattern[str], path: str) -> str:
    match = pattern.search(path)
    if match is None:
        return ""
    return match.group(1 if pattern.groups else 0) or ""


def _alike(values: Iterable[str]) -> list[list[int]]:
    """Return the positions of each value that is there at least twice."""
    positions: dict[str, list[int]] = defaultdict(list)
    for index, value in enumerate(values):
        if value:
            positions[value].append(index)
    return [together for together in positions.values() if len(together) > 1]


def _bursts(members: Sequence[Member]) -> list[list[int]]:
    """Return the bursts of at least two shots, each in order of time."""
    shots: dict[tuple[str, str], list[tuple[datetime, str, int]]] = defaultdict(list)
    for index, member in enumerate(members):
        if member.taken_at:
            moment = datetime.fromisoformat(member.taken_at)
            shots[member.camera, member.label].append((moment, member.sha256, index))
    bursts: list[list[int]] = []
    for series in shots.values():
        last = datetime.min
        for moment, _, index in sorted(series):
            if (moment - last).total_seconds() < BURST_SECONDS:
                bursts[-1].append(index)
            else:
                bursts.append([index])
            last = moment
    return [burst for burst in bursts if len(burst) > 1]


class Union:
    """Union-find over positions 0..size-1."""

    def __init__(self, size: int) -> None:
        """Begin with every position alone."""
        self.parent = list(range(size))

    def root(self, index: int) -> int:
        """Return the position that stands for all that are joined with this one."""
        while self.parent[index] != index:
            self.parent[index] = self.parent[self.parent[index]]
            index = self.parent[index]
        return index

    def join(self, together: Sequence[int]) -> None:
        """Join positions, and all that are joined with them."""
        for index in together[1:]:
            self.parent[self.root(index)] = self.root(together[0])

    def components(self) -> list[list[int]]:
        """Return the joined positions, each in rising order."""
        members: dict[int, list[int]] = defaultdict(list)
        for index in range(len(self.parent)):
            members[self.root(index)].append(index)
        return list(members.values())
