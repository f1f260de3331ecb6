"""Memory that is given back."""

import resource
import sys
from pathlib import Path

import pytest

from headstart.serve import memory

from .conftest import in_own_loop


def test_giving_back_never_fails():
    in_own_loop(memory.give_back())


def test_a_system_without_the_function_does_nothing(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert memory._trim() is None
    in_own_loop(memory.give_back())


def test_a_c_library_without_the_function_does_nothing(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert memory._trim() is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_is_free_goes_back_to_the_system():
    if memory._trim() is None:
        pytest.skip("the C library is not glibc")

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    # small pieces come from the heap; the last one would keep all below it
    pieces = [bytearray(1000) for _ in range(100_000)]
    full, last = resident(), bytearray(1000)
    del pieces
    in_own_loop(memory.give_back())
    assert full - resident() > 50_000_000
    assert last
