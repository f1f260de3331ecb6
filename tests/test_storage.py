import os
import stat
from pathlib import Path

import pytest

from headstart import storage

OPEN_FILES = Path("/proc/self/fd")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_mode_of_a_file_follows_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        storage.write_text(tmp_path / "file", "x")
        storage.write_text(tmp_path / "file", "y")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode
    assert (tmp_path / "file").read_text() == "y"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    storage.write_text(tmp_path / "file", "old")
    with pytest.raises(ValueError, match="stop"), storage.atomic_file(tmp_path / "file") as stream:
        stream.write(b"half")
        raise ValueError("stop")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="open files are listed by Linux alone")
def test_a_lock_is_freed_although_a_child_has_the_file_open_still(tmp_path):
    path = tmp_path / "lock"
    with storage.exclusive_lock(path) as free:
        assert free
        [number] = [int(one.name) for one in OPEN_FILES.iterdir() if one.exists() and one.samefile(path)]
        # what a fork leaves in the child
        copy = os.dup(number)
        with storage.exclusive_lock(path) as again:
            assert not again
    try:
        with storage.exclusive_lock(path) as free:
            assert free
    finally:
        os.close(copy)
