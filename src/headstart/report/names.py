"""What a reader calls a candidate: its network and learning rate, or its own name where those leave it open."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.backbones.catalog import CATALOG
from headstart.evaluation.results import CandidateResult

RATE = ("train", "optimizer", "learning_rate")
NAME = ("name",)

Settings = Mapping[tuple[str, ...], object]


@dataclass(frozen=True, slots=True)
class Label:
    """What a reader calls a candidate.

    Attributes:
        text: words that no other candidate of the study has.
        own: whether ``text`` is the candidate's own name, because another one has the same network and learning rate.
        second: the other of the two: own name, or network and learning rate.
        details: head and cut, where the study has more than one.
    """

    text: str
    own: bool
    second: str
    details: tuple[str, ...]


def printable(name: str) -> str:
    """Return the name of a file or folder as it can be written: bytes that are no UTF-8 become question marks."""
    return os.fsencode(name).decode(errors="replace")


def network_name(result: CandidateResult) -> str:
    """Return what a reader calls the network of a candidate: its title, and what it began with if not pretrained."""
    title = CATALOG[result.backbone].title if result.backbone in CATALOG else result.backbone
    if result.settings.get("weights") != "random":
        return title
    return f"{title} from scratch" if _tunes(result) else f"{title}, random weights"


def _tunes(result: CandidateResult) -> bool:
    """Tell whether any phase trains a part of the backbone."""
    train = result.settings.get("train", {})
    return any(phase.get("trainable", "none") != "none" for phase in (train, *train.get("phases", ())))


def learning_rate(result: CandidateResult) -> float | None:
    """Return a candidate's learning rate, None for a head that is solved without one."""
    if _is_solved(result):
        return None
    rate = result.settings.get("train", {}).get("optimizer", {}).get("learning_rate")
    return None if rate is None else float(rate)


def _is_solved(result: CandidateResult) -> bool:
    return bool(result.settings.get("head", {}).get("output") == "logistic")


def labels(candidates: Sequence[CandidateResult]) -> dict[str, Label]:
    """Return the label of every candidate by its id."""
    networks = {one.id: _network_and_rate(one) for one in candidates}
    times = Counter(networks.values())
    heads, cuts = {one.head for one in candidates}, {one.cut for one in candidates}
    found = {}
    for one in candidates:
        own = times[networks[one.id]] > 1
        first, second = (one.id, networks[one.id]) if own else (networks[one.id], one.id)
        details = (*([one.head] if len(heads) > 1 else []), *([one.cut] if len(cuts) > 1 else []))
        found[one.id] = Label(first, own, second, details)
    return found


def _network_and_rate(result: CandidateResult) -> str:
    rate = learning_rate(result)
    ending = ", logistic head" if _is_solved(result) else "" if rate is None else f", rate {rate:g}"
    return network_name(result) + ending


def series_names(candidates: Sequence[CandidateResult]) -> dict[str, str]:
    """Return what candidates that differ by their learning rate alone have in common, by the id of each.

    That is the network, and the settings in which it was tried in more than one way.
    """
    together: dict[str, list[CandidateResult]] = defaultdict(list)
    for one in candidates:
        together[network_name(one)].append(one)
    names = {}
    for network, mine in together.items():
        flat = [dict(_flat(one.settings)) for one in mine]
        keys = [key for key in _keys(flat) if len({repr(settings.get(key)) for settings in flat}) > 1]
        for one, ending in zip(mine, _endings(flat, keys), strict=True):
            names[one.id] = network + ending
    return names


def _endings(flat: Sequence[Settings], keys: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Yield the values of some keys in words; settings that differ but read alike get a number."""
    alike: dict[str, list[str]] = defaultdict(list)
    for settings in flat:
        words = ", ".join(_word(key, settings[key]) for key in keys if key in settings)
        exact = repr([settings.get(key) for key in keys])
        if exact not in alike[words]:
            alike[words].append(exact)
        number = alike[words].index(exact) + 1
        yield (f": {words}" if words else "") + (f" ({number})" if number > 1 else "")


def _flat(settings: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, (*above, name))
        else:
            yield (*above, name), value


def _keys(flat: Sequence[Settings]) -> list[tuple[str, ...]]:
    """Return all keys in their order, without name and learning rate."""
    return [key for key in dict.fromkeys(key for one in flat for key in one) if key not in (NAME, RATE)]


def _word(key: tuple[str, ...], value: object) -> str:
    name = key[-1].replace("_", " ")
    if isinstance(value, list):
        plain = all(isinstance(item, str) for item in value)
        return (" + ".join(value) if plain else f"{name} {len(value)}") if value else f"no {name}"
    if isinstance(value, bool):
        return name if value else f"no {name}"
    return value if isinstance(value, str) and value != "none" else f"{name} {value}"
