import os
import subprocess
import sys
from pathlib import Path

import pytest

from headstart.machine import core_count, memory_bytes


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not bind processes to cores")
def test_only_cores_that_the_process_may_use_count():
    one = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, {{{one}}}); from headstart import machine; print(machine.core_count())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.strip() == b"1"


def test_without_binding_all_cores_count(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert core_count() == 7


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_memory_is_what_the_kernel_says():
    with Path("/proc/meminfo").open() as lines:
        kibibytes = int(next(lines).split()[1])
    assert memory_bytes() == kibibytes * 1024
