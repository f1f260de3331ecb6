"""Published numbers: from the tables of a recipe to rows, and back."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from headstart.errors import did_you_mean
from headstart.recipe import schema
from headstart.recipe.parts import PublishedValue
from headstart.recipe.schema import Table

PARTS = ("train", "validation", "test")
AVERAGES = ("macro", "weighted", "micro")
MATRIX = "confusion_matrix"


class PublishedReader:
    """Reads ``[published.CANDIDATE.PART]``: under each metric a number, a table of one per class, or one per fold.

    A table of numbers becomes ``METRIC:CLASS``, a list ``METRIC:fold K``, and a confusion matrix (rows true, columns
    predicted, both in the order of ``classes``) ``confusion_matrix:TRUE:PREDICTED``. What is wrong is left out, and
    said in ``problems``.

    Args:
        candidates: the names of the recipe's candidates.
        doubtful: beginnings of names that it may have, because not all of it could be read.
    """

    def __init__(
        self, classes: Sequence[str], candidates: Collection[str], doubtful: Sequence[str], problems: list[str]
    ) -> None:
        self._classes = classes
        self._candidates = candidates
        self._doubtful = tuple(doubtful)
        self._problems = problems

    def read(self, value: Any) -> Iterator[PublishedValue]:
        """Yield every number in its order."""
        for candidate, parts in self._items(value, "published"):
            if not self._is_candidate(candidate):
                continue
            for part, metrics in self._items(parts, f"published.{candidate}"):
                key = f"published.{candidate}.{part}"
                if part not in PARTS:
                    hint = did_you_mean(part, PARTS) or f" It must be one of {', '.join(PARTS)}."
                    self._problems.append(f"{key}: there is no such part.{hint}")
                    continue
                for metric, number in self._items(metrics, key):
                    for name, one in self._numbers(number, metric, f"{key}.{metric}"):
                        yield PublishedValue(candidate, part, name, one)

    def _is_candidate(self, name: str) -> bool:
        if name in self._candidates or name.startswith(self._doubtful):
            return True
        whole = [one for one in self._candidates if one.startswith(f"{name}.")]
        hint = did_you_mean(name, self._candidates)
        if whole:
            hint = f' A name with a dot needs quotes: [published."{whole[0]}".test].'
        self._problems.append(f"published.{name}: there is no such candidate.{hint}")
        return False

    def _items(self, value: Any, key: str) -> Iterable[tuple[str, Any]]:
        if isinstance(value, dict):
            return value.items()
        self._problems.append(schema.wrong_type(key, "a table", value))
        return ()

    def _numbers(self, value: Any, metric: str, key: str) -> Iterator[tuple[str, float]]:
        """Yield the numbers of one metric, each with its name."""
        if metric == MATRIX:
            yield from self._matrix(value, key)
        elif isinstance(value, dict):
            for class_, number in value.items():
                if self._is_class(class_, f"{key}.{class_}"):
                    yield from self._number(number, f"{metric}:{class_}", f"{key}.{class_}")
        elif isinstance(value, list):
            for place, number in enumerate(value):
                yield from self._number(number, f"{metric}:fold {place + 1}", f"{key}[{place}]")
        else:
            yield from self._number(value, metric, key)

    def _number(self, value: Any, name: str, key: str) -> Iterator[tuple[str, float]]:
        number = schema.clean(float, value, key, self._problems)
        if number is not None and math.isfinite(number):
            yield name, number
        elif number is not None:
            self._problems.append(schema.wrong_type(key, "a finite number", number))

    def _is_class(self, name: str, key: str) -> bool:
        known = {one.casefold() for one in (*self._classes, *AVERAGES)}
        if not self._classes or name.casefold() in known:
            return True
        self._problems.append(f"{key}: there is no such class.{did_you_mean(name, self._classes)}")
        return False

    def _matrix(self, value: Any, key: str) -> Iterator[tuple[str, float]]:
        size = len(self._classes)
        if not size:
            self._problems.append(f"{key} needs the names of the classes in their order. Add classes = [...].")
        elif not _is_square(value, size):
            self._problems.append(f"{key} must be {size} lists of {size} numbers, one for each of the classes.")
        else:
            for true, row in zip(self._classes, value, strict=True):
                for place, (predicted, count) in enumerate(zip(self._classes, row, strict=True)):
                    yield from self._number(count, f"{MATRIX}:{true}:{predicted}", f"{key}[{place}]")


def _is_square(value: Any, size: int) -> bool:
    lists = isinstance(value, list) and len(value) == size
    return lists and all(isinstance(row, list) and len(row) == size for row in value)


def tables_of(published: Iterable[PublishedValue]) -> Table:
    """Return rows as nested tables of ``METRIC = number``; those of one candidate and part come together."""
    tables: Table = {}
    for row in published:
        tables.setdefault(row.candidate, {}).setdefault(row.part, {})[row.metric] = row.value
    return tables
