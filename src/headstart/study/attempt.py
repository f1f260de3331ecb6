"""One failure stays alone: what cannot be built or trained is reported, and the rest goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from headstart.errors import HeadstartError

Result = TypeVar("Result")


def attempt(work: Callable[[], Result]) -> tuple[str | None, Result | None]:
    """Return the result of ``work``, or one line on why it failed; what the user can mend is raised as it is."""
    try:
        return None, work()
    except HeadstartError:
        raise
    except Exception as error:
        return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}", None
