import pytest

from headstart.data.audit import audit
from headstart.data.decode import ImageFacts
from headstart.data.look import Look
from headstart.data.looks import blank, blurred, dark


@pytest.fixture
def seen(row, table):
    """Return a maker of tables from looks: ``p0`` has the first one."""

    def make(looks):
        rows = [row(f"p{number}", "ab"[number % 2]) for number in range(len(looks))]
        facts = {
            f"p{number}": ImageFacts(80, 80, "PNG", "RGB", False, f"{number}", look)
            for number, look in enumerate(looks)
        }
        made = table(rows)
        return type(made)("DATA", "data", made.classes, made.rows, made.source, facts)

    return make


def usual(count=30, sharpness=100.0):
    return [Look(110.0 + number % 7, 50.0, sharpness * 1.05 ** (number % 9), "0" * 16) for number in range(count)]


def test_blank_dark_and_blurred_are_told_apart(seen):
    odd = [Look(128.0, 0.5), Look(3.0, 1.0), Look(8.0, 10.0, 90.0, "1" * 16), Look(120.0, 40.0, 2.0, "2" * 16)]
    table = seen(odd + usual())
    assert (blank(table), dark(table), blurred(table)) == (("p0", "p1"), ("p2",), ("p3",))
    assert [warning for warning in audit(table).warnings if "image" in warning] == [
        "2 images of nearly one colour, with nothing to see (p0, p1).",
        "1 image very dark (p2).",
        "1 image far less sharp than the others (p3).",
    ]


def test_a_bright_flower_on_black_is_not_dark(seen):
    assert dark(seen([Look(12.0, 45.0), *usual()])) == ()


def test_in_a_dark_data_set_only_the_darkest_stand_out(seen):
    night = [Look(8.0, 12.0, 50.0, "0" * 16)] * 20
    assert dark(seen(night)) == ()
    assert dark(seen([Look(2.0, 4.0, 50.0, "1" * 16), *night])) == ("p0",)


def test_where_sharpness_differs_widely_a_low_one_is_not_blurred(seen):
    wide = [Look(120.0, 40.0, 1000.0 / 3**number, "0" * 16) for number in range(8) for _ in range(4)]
    assert blurred(seen(wide)) == ()


def test_small_images_and_small_data_sets_are_not_judged_by_sharpness(seen):
    soft = Look(120.0, 40.0, 0.5, "2" * 16)
    assert blurred(seen([soft, *usual(18)])) == ()
    assert blurred(seen([soft, *usual(19)])) == ("p0",)
    assert blurred(seen([Look(120.0, 40.0), *usual(40)])) == ()


def test_a_table_without_facts_has_no_looks(row, table):
    nothing = table([row("x", "a"), row("y", "b")])
    assert (blank(nothing), dark(nothing), blurred(nothing)) == ((), (), ())
