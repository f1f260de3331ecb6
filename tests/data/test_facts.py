import json

import pytest

from headstart.data import decode, facts
from headstart.data.images import read_table
from headstart.errors import DataError, ImageError


@pytest.fixture
def decoded(monkeypatch):
    """Count the decodes."""
    calls = []
    inspect = decode.inspect
    monkeypatch.setattr(decode, "inspect", lambda encoded: (calls.append(1), inspect(encoded))[1])
    return calls


def test_a_second_scan_decodes_nothing_and_gives_the_same_table(flowers, tmp_path, decoded):
    (flowers / "rose" / "half.png").write_bytes((flowers / "rose/0.png").read_bytes()[:300])
    first = read_table(flowers, cache=tmp_path / "cache")
    assert len(decoded) == 8
    second = read_table(flowers, cache=tmp_path / "cache")
    assert len(decoded) == 8
    assert second.rows == first.rows
    assert second.facts == first.facts


def test_only_new_images_are_decoded(flowers, tmp_path, decoded, save):
    read_table(flowers, cache=tmp_path / "cache")
    save(flowers / "rose" / "new.png", 200)
    (flowers / "rose" / "0.png").rename(flowers / "rose" / "renamed.png")
    read_table(flowers, cache=tmp_path / "cache")
    assert len(decoded) == 8


def test_without_a_cache_nothing_is_written(flowers, tmp_path, decoded):
    read_table(flowers)
    read_table(flowers)
    assert len(decoded) == 14
    assert list(tmp_path.iterdir()) == [flowers]


def test_damaged_memory_is_only_a_miss(flowers, tmp_path, decoded):
    table = read_table(flowers, cache=tmp_path / "cache")
    (file,) = (tmp_path / "cache" / "facts").rglob("*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:5]) + b'{"unknown": 1}\n[1]\nnull\n' + lines[5][:20])
    assert read_table(flowers, cache=tmp_path / "cache").rows == table.rows
    assert len(decoded) == 9


def test_every_batch_is_kept_as_one_whole_file(flowers, tmp_path, monkeypatch):
    monkeypatch.setattr(facts, "_BATCH", 3)
    read_table(flowers, cache=tmp_path / "cache")
    files = list((tmp_path / "cache" / "facts").rglob("*.jsonl"))
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert (len(files), len(lines)) == (3, 7)
    assert {line["image"]["width"] for line in lines} == {16}


def test_a_killed_scan_keeps_the_finished_batches(flowers, tmp_path, monkeypatch, decoded):
    monkeypatch.setattr(facts, "_BATCH", 3)
    write = facts.storage.write_bytes

    def write_once(path, content):
        write(path, content)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(facts.storage, "write_bytes", write_once)
        with pytest.raises(KeyboardInterrupt):
            read_table(flowers, cache=tmp_path / "cache")
    decoded.clear()
    assert len(read_table(flowers, cache=tmp_path / "cache").ok) == 7
    assert len(decoded) == 4


def test_other_decoders_do_not_share_facts(flowers, tmp_path, monkeypatch, decoded):
    read_table(flowers, cache=tmp_path / "cache")
    monkeypatch.setattr(decode, "decoders", lambda: "pillow-999-heif-none")
    read_table(flowers, cache=tmp_path / "cache")
    assert len(decoded) == 14


def test_lack_of_memory_is_not_remembered(flowers, tmp_path, monkeypatch):
    def fail(encoded):
        raise ImageError(decode.OUT_OF_MEMORY)

    with monkeypatch.context() as patch:
        patch.setattr(decode, "inspect", fail)
        with pytest.raises(DataError, match=decode.OUT_OF_MEMORY):
            read_table(flowers, cache=tmp_path / "cache")
    assert len(read_table(flowers, cache=tmp_path / "cache").ok) == 7
