from headstart.data.memory import remember, remembered


def test_lines_come_back_and_damage_is_passed_over(tmp_path):
    remember(tmp_path / "m", [[1, "a"], {"b": None}])
    remember(tmp_path / "m", [[2]])
    assert sorted(map(str, remembered(tmp_path / "m"))) == ["[1, 'a']", "[2]", "{'b': None}"]
    for file in (tmp_path / "m").iterdir():
        file.write_bytes(file.read_bytes() + b"\xff{broken\n")
    assert len(list(remembered(tmp_path / "m"))) == 3


def test_nothing_is_written_for_nothing(tmp_path):
    remember(tmp_path / "m", [])
    assert list(tmp_path.iterdir()) == []
    assert list(remembered(tmp_path / "m")) == list(remembered(None)) == []
