from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from headstart.report.numbers import escaped, look_up, written


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("percent", 0.8916, "89.2 %"),
        ("percent", 1.0, "100.0 %"),
        ("percent", 0.9996, "> 99.9 %"),
        ("percent", 0.0, "0.0 %"),
        ("percent", 0.0004, "< 0.1 %"),
        ("fine_percent", 0.9635, "96.35 %"),
        ("fine_percent", 0.99999, "> 99.99 %"),
        ("fine_percent", 0.00001, "< 0.01 %"),
        ("fine_decimals", 0.1173, "0.1173"),
        ("signed_decimals", -0.0114, "\u22120.011"),
        ("signed_decimals", 0.0, "0.000"),
        ("signed_count", 1234.0, "+1,234"),
        ("signed_count", -3.0, "\u22123"),
        ("points", 0.0114, "1.1"),
        ("signed_points", -0.0114, "\u22121.1"),
        ("signed_points", 0.02, "+2.0"),
        ("signed_points", -0.0001, "0.0"),
        ("decimals", 0.98765, "0.988"),
        ("ratio", 1.0, "1.000"),
        ("ratio", 0.99999, "> 0.999"),
        ("short_ratio", 0.876, "0.88"),
        ("short_ratio", 0.996, "> 0.99"),
        ("short_ratio", 1.0, "1.00"),
        ("hundredths", 1.4142, "1.41"),
        ("probability", 0.0001, "< 0.001"),
        ("probability", 0.0499, "0.050"),
        ("rate", 1e-05, "1e-05"),
        ("rate", 0.003, "0.003"),
        ("count", 3233989, "3,233,989"),
        ("epoch", 14.0, "14"),
        ("epoch", 13.25, "13.2"),
        ("megabytes", 12_935_956, "12.9 MB"),
        ("megabytes", 376_000, "376 kB"),
        ("megabytes", 12, "12 bytes"),
        ("megabytes", 3.2e9, "3.2 GB"),
        ("milliseconds", 0.8, "0.80 ms"),
        ("milliseconds", 5.14, "5.1 ms"),
        ("milliseconds", 240.4, "240 ms"),
        ("step_time", 0.176, "176 ms"),
        ("seconds", 0.42, "0.4 s"),
        ("seconds", 52.4, "52 s"),
        ("seconds", 192.0, "3 min 12 s"),
        ("seconds", 3900.0, "1 h 05 min"),
        ("per_second", 304.2, "304 / s"),
        ("per_second", 4.25, "4.2 / s"),
        ("percent", None, "\u2013"),
        ("decimals", math.nan, "\u2013"),
    ],
)
def test_numbers_read_as_people_write_them(kind, value, text):
    assert written(value, kind).replace("\u202f", " ") == text


@pytest.mark.parametrize("name", ["plain", "a/b", "a~1b/~0", "~"])
def test_any_name_can_be_a_step_of_a_pointer(name):
    assert look_up({"tree": {name: 1.5, "b": 2.0}}, f"tree/{escaped(name)}") == 1.5


@dataclass(frozen=True)
class Leaf:
    class_: str
    values: tuple[float, ...]
    missing: Leaf | None = None


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("tree/a.b/0/class", "oak"),
        ("tree/a.b/0/values/1", 2.0),
        ("tree/a.b/0/missing/values/1", None),
        ("tree/none/0", None),
    ],
)
def test_pointers_use_the_words_of_the_json_files(pointer, value):
    assert look_up({"tree": {"a.b": [Leaf("oak", (1.0, 2.0))]}}, pointer) == value
