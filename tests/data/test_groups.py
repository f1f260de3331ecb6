import itertools

import pytest

from headstart.data.groups import Member, content_group, group_ids, group_rule
from headstart.errors import UsageError


def member(path, label="a", pixels="", **options):
    return Member(path, label, sha256=f"{path:>16}", pixels=pixels or path, **options)


def shot(path, seconds, camera="X", label="a", pixels=""):
    return member(path, label, pixels, taken_at=f"2024-05-01T12:00:{seconds:09.6f}", camera=camera)


@pytest.mark.parametrize(
    ("rule", "path", "label", "group"),
    [
        ("folder", "daisy/plant7/a.jpg", "daisy", "plant7"),
        ("folder", "train/daisy/plant7/left/a.jpg", "daisy", "plant7/left"),
        ("folder", "daisy/a.jpg", "daisy", ""),
        ("folder", "scans/patient3/a.jpg", "ill", "scans/patient3"),
        ("folder", "digits#07", "7", ""),
        (r"IMG_(\d+)", "daisy/IMG_12_3.jpg", "daisy", "12"),
        (r"p\d+", "daisy/p12_3.jpg", "daisy", "p12"),
        (r"p\d+", "daisy/q12_3.jpg", "daisy", ""),
        (r"x(p\d+)?", "daisy/x.jpg", "daisy", ""),
        ("", "daisy/a.jpg", "daisy", ""),
    ],
)
def test_rules(rule, path, label, group):
    assert group_rule(rule)(member(path, label)) == group


def test_an_invalid_expression_is_a_usage_error():
    with pytest.raises(UsageError, match=r"Received: '\*'"):
        group_rule("*")


def test_images_alone_have_no_group_and_duplicates_share_one():
    members = [member("1"), member("2", pixels="same"), member("3", "b", pixels="same")]
    assert group_ids(members, "") == ("", content_group(members[1].sha256), content_group(members[1].sha256))


def test_a_declared_group_keeps_its_name_even_with_one_image():
    assert group_ids([member("1", declared="p1"), member("2")], "") == ("p1", "")


def test_duplicates_join_declared_groups():
    members = [
        member("1", declared="p2"),
        member("2", declared="p2", pixels="same"),
        member("3", declared="p1", pixels="same"),
        member("4", pixels="same"),
        member("5", declared="p3"),
    ]
    assert group_ids(members, "") == ("p1", "p1", "p1", "p1", "p3")


def test_near_duplicates_join_as_exact_ones_do():
    members = [
        member("1", near="n"), member("2", near="n"), member("3", pixels="same"),
        member("4", pixels="same", near="n"), member("5", declared="p"), member("6", near="m"),
    ]  # fmt: skip
    name = content_group(members[0].sha256)
    assert group_ids(members, "") == (name, name, name, name, "p", "")


def test_bursts_chain_shots_less_than_two_seconds_apart():
    members = [shot("1", 0), shot("2", 1.9), shot("3", 3.8), shot("4", 5.8), shot("5", 59)]
    burst = content_group(members[0].sha256)
    assert group_ids(members, "exif-burst") == (burst, burst, burst, "", "")


def test_bursts_need_the_same_camera_and_class_and_a_time():
    members = [shot("1", 0), shot("2", 0.5, camera="Y"), shot("3", 0.7, label="b"), member("4"), member("5")]
    assert group_ids(members, "exif-burst") == ("",) * 5


def test_a_later_shot_does_not_change_the_name_of_a_burst():
    shots = [shot("9", 0), shot("5", 1), shot("1", 2)]
    assert group_ids(shots[:2], "exif-burst")[0] == group_ids(shots, "exif-burst")[0] == content_group(shots[0].sha256)


def test_duplicates_join_bursts():
    members = [shot("1", 0), shot("2", 1, pixels="same"), shot("3", 40, pixels="same"), shot("4", 41)]
    assert len(set(group_ids(members, "exif-burst"))) == 1


def test_ids_do_not_depend_on_the_order():
    members = [
        member("1", pixels="x"), member("2", pixels="x"), shot("3", 1), shot("4", 2, pixels="x"),
        member("5", declared="p"),
    ]  # fmt: skip
    expected = dict(zip([m.path for m in members], group_ids(members, "exif-burst"), strict=True))
    for order in itertools.permutations(members):
        assert dict(zip([m.path for m in order], group_ids(order, "exif-burst"), strict=True)) == expected
