"""Bodies over a real connection: images and forms, good and bad. The server answers each and goes on."""

import io
import re
import socket
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from headstart.serve.bodies import LONGEST_NAME, clean_name
from headstart.serve.limits import Limits

from .conftest import BOUNDARY, FORM, form, picture

HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"


def bomb():
    """Return a PNG whose header says 20,000 x 20,000 pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def animation():
    stream = io.BytesIO()
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("blue", "red")]
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    return stream.getvalue()


BAD_IMAGES = {
    "truncated": (picture("red", "JPEG", (200, 200))[:400], "truncated JPEG"),
    "empty": (b"", "empty file"),
    "text": (b"I am no photograph\n" * 20, "text, not an image"),
    "bomb": (bomb(), "too large: the limit is 178,000,000 pixels"),
    "drawing": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG is a drawing"),
    "noise": (bytes(range(256)), "not an image of an allowed format"),
    "damaged": (picture()[:30] + bytes(40), "(truncated|damaged) PNG"),
}


@pytest.fixture(autouse=True)
def alive(live):
    """After each test the server still answers, and well."""
    yield
    answer = live.predict(picture("blue"))
    assert (answer.status, answer.json["predictions"][0]["answer"]) == (200, "blue")


@pytest.mark.parametrize("kind", ["image/png", "image/jpeg", "application/octet-stream", "IMAGE/PNG; charset=x"])
def test_one_image_is_the_body_whatever_its_type_says(live, kind):
    answer = live.predict(picture("green"), kind)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    (row,) = answer.json["predictions"]
    assert (row["name"], row["answer"], row["error"]) == ("body", "green", None)


@pytest.mark.parametrize("bad", BAD_IMAGES)
def test_a_single_bad_image_is_422_with_its_reason(live, bad):
    content, reason = BAD_IMAGES[bad]
    for body, kind in ((content, "image/jpeg"), (form(("photo.jpg", content)), FORM)):
        answer = live.predict(body, kind)
        assert answer.status == 422
        assert re.search(reason, answer.message), answer.message


def test_bad_images_among_good_ones_have_their_reasons_in_their_rows(live):
    parts = [(f"{name}.jpg", content) for name, (content, _) in BAD_IMAGES.items()]
    answer = live.predict(form(("first.png", picture("red")), *parts, ("last.png", picture("blue"))), FORM)
    assert answer.status == 200
    rows = answer.json["predictions"]
    assert [row["name"] for row in rows] == ["first.png", *(f"{name}.jpg" for name in BAD_IMAGES), "last.png"]
    assert [rows[0]["answer"], rows[-1]["answer"]] == ["red", "blue"]
    for row, (_, reason) in zip(rows[1:-1], BAD_IMAGES.values(), strict=True):
        assert re.search(reason, row["error"])
        assert (row["answer"], row["probabilities"], row["unknown_score"]) == (None, [], None)


def test_of_an_animation_the_first_frame_counts(live):
    assert live.predict(animation(), "image/gif").json["predictions"][0]["answer"] == "blue"


def test_files_of_any_field_count_and_plain_fields_do_not(live):
    answer = live.predict(form((None, b"a comment"), ("b.png", picture("blue")), ("", b"")), FORM)
    assert [row["name"] for row in answer.json["predictions"]] == ["b.png"]


@pytest.mark.parametrize(
    ("kind", "received"),
    [
        ("text/plain", "'text/plain'"),
        ("application/x-www-form-urlencoded", "'application/x-www-form-urlencoded'"),
        ("application/json", "'application/json'"),
        ("imagepng", "'imagepng'"),
        (None, "There was none"),
    ],
)
def test_another_content_type_is_415(live, kind, received):
    answer = live.predict(picture(), kind)
    assert answer.status == 415
    assert received in answer.message
    assert "multipart/form-data" in answer.message


def test_a_compressed_body_is_415(live):
    answer = live.predict(zlib.compress(picture()), Content_Encoding="gzip")
    assert answer.status == 415
    assert "'gzip'" in answer.message


BROKEN_FORMS = {
    "no boundary": (form(("a.png", picture())), "multipart/form-data", 400, "names no boundary"),
    "another boundary": (form(("a.png", picture())), "multipart/form-data; boundary=other", 400, "cannot be read"),
    "cut": (form(("a.png", picture()))[:-20], FORM, 400, "ends before its last boundary"),
    "noise": (bytes(range(256)) * 10, FORM, 400, "cannot be read"),
    "empty": (b"", FORM, 400, "ends before"),
    "endless header": (f"--{BOUNDARY}\r\nX: ".encode() + b"y" * 10_000, FORM, 400, "header size"),
    "boundary too long": (b"", f"multipart/form-data; boundary={'b' * 400}", 400, "Boundary length"),
    "no file": (form((None, b"text")), FORM, 422, "has no file"),
    "no file chosen": (form(("", b"")), FORM, 422, "has no file"),
    "an image as text": (form((None, bytes(200_000))), FORM, 413, "Send images as files"),
}


@pytest.mark.parametrize("broken", BROKEN_FORMS)
def test_a_broken_form_says_what_is_wrong(live, broken):
    body, kind, status, message = BROKEN_FORMS[broken]
    answer = live.predict(body, kind)
    assert answer.status == status
    assert message in answer.message


def test_a_form_of_a_thousand_parts_is_413(live):
    for name in ("x.png", None):
        answer = live.predict(form(*[(name, b"")] * 1000), FORM)
        assert answer.status == 413
        assert "at most 100 parts" in answer.message


def test_100_megabytes_are_refused_before_they_come(live):
    start = time.perf_counter()
    answer = live.raw(HEAD + b"Content-Length: 100000000\r\n\r\n")
    assert time.perf_counter() - start < 2
    assert answer.status == 413
    assert "at most 32,000,000 bytes" in answer.message


def test_100_megabytes_that_do_come_are_413_too(live):
    answer = live.predict(bytes(100_000_000))
    assert answer.status == 413
    assert "at most 32,000,000 bytes" in answer.message


def test_a_body_of_unknown_length_is_counted_while_it_comes(live):
    megabyte = bytes(1_000_000)
    answer = live.predict(iter([megabyte] * 100), Transfer_Encoding="chunked")
    assert answer.status == 413
    small = iter([picture("green")[:20], picture("green")[20:]])
    answer = live.predict(small, Transfer_Encoding="chunked")
    assert answer.json["predictions"][0]["answer"] == "green"


NAMES = {
    "../../../etc/passwd": "../../../etc/passwd",
    "/etc/passwd": "/etc/passwd",
    "a\x1b[31m\x07b.png": "a[31mb.png",
    "evil\u202egnp.exe": "evilgnp.exe",
    "Käfer 甲虫.png": "Käfer 甲虫.png",
    "n" * 2000: "n" * LONGEST_NAME,
    "<script>alert(1)</script>": "<script>alert(1)</script>",
    "\x01": "file 1",
}


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:24])
def test_names_are_echoed_clean_and_never_opened(live, name, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    answer = live.predict(form((name, picture()), ("b", picture())), FORM)
    assert answer.json["predictions"][0]["name"] == NAMES[name]
    assert answer.json["predictions"][0]["answer"] == "red"
    assert not list(tmp_path.iterdir())


def test_clean_name_drops_what_cannot_be_seen():
    assert clean_name("a\u200d\ud800\n\u2028b") == "a\u2028b"


def test_a_large_form_writes_no_file(live, tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "PNG", compress_level=0)
    before = tmp_path.stat().st_mtime_ns
    answer = live.predict(form(("noise.png", stream.getvalue())), FORM)
    assert answer.status == 200
    assert tmp_path.stat().st_mtime_ns == before


def test_limits_on_pixels_and_bytes_are_those_that_were_given(serve):
    live = serve(Limits(body_bytes=3000, pixels=100))
    assert live.predict(bytes(3001)).status == 413
    answer = live.predict(picture(size=(11, 10)))
    assert "11 x 10 pixels; the limit is 100" in answer.message
    assert live.predict(picture(size=(10, 10))).status == 200


def test_what_all_requests_hold_together_is_limited(serve, classifier):
    live = serve(Limits(body_bytes=3000, held_bytes=3000))
    with socket.create_connection(("127.0.0.1", live.port)) as client:
        client.sendall(HEAD + b"Content-Length: 2990\r\n\r\n" + bytes(2980))
        time.sleep(0.1)
        answer = live.predict(picture())
        assert answer.status == 429
        assert answer.headers["retry-after"] == "1"
    time.sleep(0.1)
    assert live.predict(picture()).status == 200


def test_a_body_that_does_not_arrive_is_408(serve):
    live = serve(Limits(seconds=0.2))
    answer = live.raw(HEAD + b"Content-Length: 1000\r\n\r\nabc")
    assert answer.status == 408
    assert "did not arrive within 0.2 seconds" in answer.message
