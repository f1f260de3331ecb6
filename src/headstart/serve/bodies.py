"""What a request brings: the images of its body, within the limits, and its parameter.

Everything stays in memory: no file is written or opened.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import python_multipart
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from headstart.errors import did_you_mean
from headstart.serve.batching import Upload
from headstart.serve.limits import Limits
from headstart.serve.problems import busy

FORM = "multipart/form-data"
BYTES = "application/octet-stream"
BODY_NAME = "body"
"""What an image is called that is itself the body."""

LONGEST_NAME = 255
# Bytes of one part that may not be an image: more is no field of a form but a mistake.
LARGEST_FIELD = 100_000


class Ledger:
    """How many bytes of bodies are in memory, of all requests together."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.held = 0

    @contextmanager
    def account(self) -> Iterator[Account]:
        """Give an account whose bytes are free again when the block ends."""
        account = Account(self)
        try:
            yield account
        finally:
            self.held -= account.held


class Account:
    """The bytes of one request's body."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.held = 0

    def add(self, count: int) -> None:
        """Note bytes that came; raise HTTPException where the body (413) or all of them (429) become too large."""
        limits = self._ledger.limits
        if self.held + count > limits.body_bytes:
            raise too_large(limits)
        if self._ledger.held + count > limits.held_bytes:
            raise busy(429, "Too many images are on their way to the server. Try again later.")
        self.held += count
        self._ledger.held += count


async def read_images(request: Request, limits: Limits, account: Account) -> list[Upload]:
    """Return the images of a request: its body, or the files of its form in order.

    Raises:
        HTTPException: 400 a broken form, 408 the body does not arrive, 413 it is too large or has too many parts, 415
            it is neither image nor form, 422 the form has no file, 429 the server holds too much.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    name = kind.decode("latin-1")
    _check_kind(request, name)
    _check_length(request, limits)
    try:
        async with asyncio.timeout(limits.seconds):
            if name == FORM:
                return await _read_form(request, options.get(b"boundary", b""), limits, account)
            return [Upload(BODY_NAME, b"".join([chunk async for chunk in _chunks(request, account)]))]
    except TimeoutError:
        raise HTTPException(408, f"The body did not arrive within {limits.seconds:g} seconds.") from None
    except ClientDisconnect:
        raise HTTPException(400, "The connection ended within the body.") from None


def parameter(request: Request, name: str) -> str | None:
    """Return the one parameter that an address can have; None where it has none.

    Raises:
        HTTPException: 400, there is another.
    """
    for given in request.query_params:
        if given != name:
            hint = did_you_mean(given, [name])
            raise HTTPException(400, f"There is no {clean_name(given)!r} here, only {name!r}.{hint}")
    return request.query_params.get(name)


def clean_name(name: str) -> str:
    """Return a file's name as it may be shown: no control, format or other invisible characters, not too long."""
    shown = "".join(letter for letter in name if unicodedata.category(letter)[0] != "C")
    return shown[:LONGEST_NAME]


def too_large(limits: Limits) -> HTTPException:
    """Return the error for a body that is too large."""
    return HTTPException(413, f"The body may have at most {limits.body_bytes:,} bytes. Send fewer or smaller images.")


def _check_kind(request: Request, name: str) -> None:
    coding = request.headers.get("content-encoding", "identity")
    if coding != "identity":
        raise HTTPException(415, f"The body must not be compressed. Received: Content-Encoding {clean_name(coding)!r}.")
    if name not in (FORM, BYTES) and not name.startswith("image/"):
        received = f"Received: {clean_name(name)!r}" if name else "There was none"
        raise HTTPException(
            415, f"The Content-Type must be image/... or {BYTES}, with one image, or {FORM}, with files. {received}."
        )


def _check_length(request: Request, limits: Limits) -> None:
    """Refuse a body that says itself that it is too large, before it comes."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limits.body_bytes:
        raise too_large(limits)


async def _chunks(request: Request, account: Account) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        account.add(len(chunk))
        yield chunk


async def _read_form(request: Request, boundary: bytes, limits: Limits, account: Account) -> list[Upload]:
    if not boundary:
        raise HTTPException(400, "The form cannot be read: its Content-Type names no boundary.")
    form = _Form(limits)
    try:
        parser = python_multipart.MultipartParser(boundary, form.callbacks())
        async for chunk in _chunks(request, account):
            parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        raise HTTPException(400, f"The form cannot be read: {clean_name(str(error))}.") from error
    if not form.ended:
        raise HTTPException(400, "The form cannot be read: it ends before its last boundary.")
    if not form.uploads:
        raise HTTPException(422, "The form has no file. Send each image as a file of any field.")
    return form.uploads


class _Form:
    """Listens to the parser and keeps the files."""

    def __init__(self, limits: Limits) -> None:
        self.uploads: list[Upload] = []
        self.ended = False
        self._limits = limits
        self._parts = 0
        self._header, self._value = b"", b""
        self._disposition: bytes | None = None
        self._file_name: str | None = None
        self._content = bytearray()

    def callbacks(self) -> python_multipart.multipart.MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_part_data": self._take,
            "on_part_end": self._end,
            "on_header_field": self._take_header,
            "on_header_value": self._take_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_end": self._end_form,
        }

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > self._limits.parts:
            raise HTTPException(413, f"A form may have at most {self._limits.parts} parts. Send several requests.")
        self._disposition, self._file_name, self._content = None, None, bytearray()

    def _take_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header, self._value = b"", b""

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"filename" in options:
            self._file_name = options[b"filename"].decode("utf-8", "replace")

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._file_name is None and len(self._content) + end - start > LARGEST_FIELD:
            raise HTTPException(413, "A part of the form that has no file name is too large. Send images as files.")
        self._content += data[start:end]

    def _end(self) -> None:
        # a browser sends an empty part without a name for a file that was not chosen
        if self._file_name is not None and (self._file_name or self._content):
            name = clean_name(self._file_name) or f"file {len(self.uploads) + 1}"
            self.uploads.append(Upload(name, bytes(self._content)))
        self._content = bytearray()

    def _end_form(self) -> None:
        self.ended = True
