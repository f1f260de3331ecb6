"""What the server allows: limits that make sense, and names under which it answers."""

import re

import pytest

from headstart.data.decode import PIXEL_LIMIT
from headstart.errors import UsageError
from headstart.serve.limits import LOOPBACK, Access, Limits, access_for, from_options, is_loopback

OPTIONS = {"max_megabytes": 2, "max_megapixels": 1.5, "max_images": 3, "max_queue": 4, "max_seconds": 5.0}


def test_options_become_limits():
    limits = from_options(**OPTIONS)
    assert (limits.body_bytes, limits.pixels, limits.parts) == (2_000_000, 1_500_000, 3)
    assert (limits.queue, limits.seconds) == (4, 5.0)


def test_a_large_body_may_be_held():
    limits = from_options(**{**OPTIONS, "max_megapixels": 178, "max_megabytes": 1000})
    assert limits.pixels == PIXEL_LIMIT
    assert limits.held_bytes == 2 * limits.body_bytes


def test_headers_have_no_more_time_than_the_body():
    assert from_options(**OPTIONS).header_seconds == 5
    assert from_options(**{**OPTIONS, "max_seconds": 60.0}).header_seconds == 10


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("max_megabytes", float("inf"), "--max-megabytes must be a finite number. Received: inf."),
        ("max_megapixels", float("inf"), "--max-megapixels must be a finite number. Received: inf."),
        ("max_seconds", float("nan"), "--max-seconds must be a finite number. Received: nan."),
        ("max_megapixels", -1.0, "--max-megapixels must be above 0. Received: -1."),
        ("max_images", 0, "--max-images must be above 0. Received: 0."),
        ("max_queue", 0, "--max-queue must be above 0. Received: 0."),
        (
            "max_megapixels",
            1000.0,
            "--max-megapixels can be at most 178: headstart reads no larger image. Received: 1000.",
        ),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_by_its_name(option, value, words):
    with pytest.raises(UsageError, match=f"^{re.escape(words)}$"):
        from_options(**{**OPTIONS, option: value})


def test_a_limit_below_one_byte_is_one_byte():
    limits = from_options(**{**OPTIONS, "max_megapixels": 1e-9, "max_megabytes": 1e-9})
    assert (limits.pixels, limits.body_bytes) == (1, 1)


@pytest.mark.parametrize("name", Limits.__slots__)
def test_a_limit_of_nothing_is_refused(name):
    with pytest.raises(UsageError, match=f"{name.replace('_', ' ')} must be above 0"):
        Limits(**{name: 0})


def test_bodies_must_fit_into_what_may_be_held():
    with pytest.raises(UsageError, match="at least one body, 100 bytes"):
        Limits(body_bytes=100, held_bytes=99)


@pytest.mark.parametrize(
    ("host", "hosts"),
    [
        ("127.0.0.1", LOOPBACK),
        ("localhost", LOOPBACK),
        ("::1", LOOPBACK),
        ("127.0.0.2", (*LOOPBACK, "127.0.0.2")),
        ("0.0.0.0", ()),
        ("192.168.1.5", ()),
    ],
)
def test_only_a_server_on_loopback_asks_for_its_name(host, hosts):
    assert access_for(host).hosts == hosts
    assert is_loopback(host) == bool(hosts)


@pytest.mark.parametrize("origin", ["https://example.org", "http://localhost:5000", "*"])
def test_origins(origin):
    assert access_for("127.0.0.1", origins=(origin,)).origins == (origin,)


@pytest.mark.parametrize("origin", ["example.org", "https://example.org/page", "https://", "null", "file://x"])
def test_what_is_no_origin_is_refused(origin):
    with pytest.raises(UsageError, match=r"such as https://example\.org"):
        Access(origins=(origin,))
