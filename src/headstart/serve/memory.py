"""Memory that large images leave behind, given back to the system."""

from __future__ import annotations

import asyncio
import ctypes
import sys
from collections.abc import Callable

EVERY_SECONDS = 10
"""How often the server gives memory back."""


async def give_back() -> None:
    """Give memory that is free back to the system, where the C library would keep it; elsewhere do nothing."""
    trim = _trim()
    if trim is not None:
        await asyncio.to_thread(trim, 0)


def _trim() -> Callable[[int], int] | None:
    """Return glibc's ``malloc_trim``, or None on a system that has none."""
    if sys.platform != "linux":
        return None
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return None
    return trim
