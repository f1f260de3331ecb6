"""A folder of runs as a web application: a list, the reports, the reviews, and every run's classifier to try."""

from __future__ import annotations

import hmac
import secrets
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from headstart import storage
from headstart.errors import ClassifierError, RunError
from headstart.runs import folder as run_files
from headstart.runs.folder import RunFolder
from headstart.runs.history import RunRow, find_runs
from headstart.serve.album import open_album
from headstart.serve.app import create_app, guarded
from headstart.serve.batching import Batcher
from headstart.serve.limits import Access, Limits
from headstart.serve.metrics import Metrics
from headstart.serve.pages import page_routes
from headstart.serve.problems import problem
from headstart.serve.review import Review
from headstart.serve.static_files import page, static_route
from headstart.version import __version__

TOKEN_HEADER = "X-Headstart-Token"
LARGEST_BODY = 200_000
LOADED = 3
"""Classifiers that are kept in memory."""
REVIEWS = 8

# A report may have come with a run from elsewhere: in a sandbox its scripts are those of no site, so they can neither
# read nor change anything here.
REPORT_POLICY = (
    "sandbox allow-scripts allow-downloads allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
    "img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors 'none'"
)


def create_runs_app(
    folder: Path,
    access: Access = Access(),  # noqa: B008 - frozen
    *,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> Starlette:
    """Return the application that shows the runs in and below a folder, or the one run that the folder is.

    Raises:
        RunError: there is no such folder.
    """
    shelf = Shelf(folder)
    shelf.rows()
    routes = [*RunPages(shelf).routes(), *_classifier_routes(shelf, limits, access), static_route()]
    return guarded(routes, access, Metrics())


class Shelf:
    """The runs by the ids that their addresses have. An id is made here, never a part of a path."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: dict[str, RunRow] = {}
        self._lock = threading.Lock()

    def rows(self) -> dict[str, RunRow]:
        """Look for runs anew and return them by their ids, newest first."""
        found = {_id_of(row.folder): row for row in find_runs(self._folder)}
        with self._lock:
            self._rows = found
        return found

    def run(self, id_: str) -> RunFolder:
        """Return the run of an id; raise HTTPException 404 where there is none."""
        row = self._rows.get(id_) or self.rows().get(id_)
        if row is None:
            raise HTTPException(404, "There is no such run in this folder any more. The list at / has those there are.")
        return RunFolder(row.folder)


def _id_of(folder: Path) -> str:
    return storage.digest_of(str(folder.resolve()))[:12]


class RunPages:
    """The list of runs, their reports and reviews."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._token = secrets.token_urlsafe(24)
        self._reviews: OrderedDict[str, tuple[object, Review]] = OrderedDict()
        self._lock = threading.Lock()

    def routes(self) -> list[BaseRoute]:
        """Return what the application answers to beside the classifiers."""
        return [
            Route("/", self.show_list),
            Route("/runs.json", self.list_runs),
            Route("/runs/{id}/report", self.show_report),
            Route("/runs/{id}/review", self.show_review),
            Route("/runs/{id}/review.json", self.tell_review),
            Route("/runs/{id}/images/{number:int}", self.show_image),
            Route("/runs/{id}/decisions", self.decide, methods=["POST"]),
            Route("/runs/{id}/corrected", self.send_list),
        ]

    async def show_list(self, request: Request) -> Response:
        """Show all runs."""
        return page("runs")

    async def list_runs(self, request: Request) -> Response:
        """Give all runs with their results, newest first."""
        rows = await run_in_threadpool(self._shelf.rows)
        runs = [_run(id_, row) for id_, row in rows.items()]
        return JSONResponse({"version": __version__, "runs": runs})

    async def show_report(self, request: Request) -> Response:
        """Show the report of a run as its study wrote it."""
        report = self._shelf.run(request.path_params["id"]).report
        if not report.is_file():
            raise HTTPException(404, f"This run has no report. Make it: headstart report {report.parent}.")
        content = await run_in_threadpool(report.read_bytes)
        return Response(content, media_type="text/html", headers={"Content-Security-Policy": REPORT_POLICY})

    async def show_review(self, request: Request) -> Response:
        """Show the page of a run's review."""
        self._shelf.run(request.path_params["id"])
        return page("review")

    async def tell_review(self, request: Request) -> Response:
        """Give what there is to review, and what was decided."""
        return await run_in_threadpool(self._tell, request.path_params["id"])

    def _tell(self, id_: str) -> Response:
        review = self._review(id_)
        told = {
            "run": review.album.folder.path.resolve().name,
            "token": self._token,
            "classes": review.classes,
            "cases": review.cases,
            "images": _states(review),
            "list": run_files.DOUBTS,
            "listed": review.album.folder.doubts_file.is_file(),
            "command": review.command,
            "photographs": review.album.root is not None,
        }
        return JSONResponse(storage.to_plain(told))

    async def show_image(self, request: Request) -> Response:
        """Show one image of a run, by its number."""
        return await run_in_threadpool(self._image, request.path_params["id"], request.path_params["number"])

    def _image(self, id_: str, number: int) -> Response:
        album = self._review(id_).album
        picture = album.picture(number) if number < len(album.rows) else None
        if picture is None:
            raise HTTPException(404, "There is no picture of this image: its file is not where it was, or has changed.")
        return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=600"})

    async def decide(self, request: Request) -> Response:
        """Write decisions into the list of doubted labels."""
        self._check(request)
        text = await _body(request)
        return await run_in_threadpool(self._decide, request.path_params["id"], text)

    def _decide(self, id_: str, text: bytes) -> Response:
        review = self._review(id_)
        try:
            return JSONResponse(storage.to_plain({"images": review.decide(text)}))
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
        except RunError as error:
            raise HTTPException(409, str(error)) from None

    def _check(self, request: Request) -> None:
        """Let only the pages of this very server change anything, whoever else may ask it."""
        origin = request.headers.get("origin")
        same = origin is None or urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower()
        if not same or request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise HTTPException(403, "Only the review page of this server may change anything.")
        if not hmac.compare_digest(request.headers.get(TOKEN_HEADER, "").encode(), self._token.encode()):
            raise HTTPException(403, "The server was started again since the page was opened. Load the page again.")
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise HTTPException(415, "Decisions must be sent as application/json.")

    async def send_list(self, request: Request) -> Response:
        """Give the list of doubted labels with what was decided, as a file to keep."""
        file = self._shelf.run(request.path_params["id"]).doubts_file
        if not file.is_file():
            raise HTTPException(404, "This run has no list of doubted labels, and nothing was decided yet.")
        content = await run_in_threadpool(file.read_bytes)
        headers = {"Content-Disposition": f'attachment; filename="{file.name}"'}
        return Response(content, media_type="text/csv", headers=headers)

    def _review(self, id_: str) -> Review:
        """Return the review of a run, read anew where the study has been run again."""
        folder = self._shelf.run(id_)
        try:
            stamp = _stamp(folder)
            with self._lock:
                known = self._reviews.pop(id_, None)
                if known is None or known[0] != stamp:
                    known = (stamp, Review(open_album(folder)))
                self._reviews[id_] = known
                while len(self._reviews) > REVIEWS:
                    self._reviews.popitem(last=False)
                return known[1]
        except RunError as error:
            raise HTTPException(404, str(error)) from None


def _stamp(folder: RunFolder) -> tuple[int, ...]:
    """Return when the files that a review is made of were written; the list that it writes itself is none of them."""
    names = (run_files.IMAGES, run_files.AUDIT, run_files.SUMMARY, run_files.PICTURES)
    files = (folder.path / name for name in names)
    return tuple(file.stat().st_mtime_ns if file.is_file() else 0 for file in files)


def _states(review: Review) -> list[Any]:
    return [storage.to_plain(state) for state in review.states()]


def _run(id_: str, row: RunRow) -> dict[str, Any]:
    """Return a run of the list as plain values, without its place on this machine."""
    folder = RunFolder(row.folder)
    plain: dict[str, Any] = storage.to_plain(row)
    del plain["folder"]
    return {
        "id": id_,
        **plain,
        "report": folder.report.is_file(),
        "review": row.state == "done",
        "classifier": folder.classifier.is_dir(),
    }


async def _body(request: Request) -> bytes:
    """Return the body of a request that should be small."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise HTTPException(413, f"Decisions may have at most {LARGEST_BODY:,} bytes. Send fewer at once.")
    return bytes(body)


def _classifier_routes(shelf: Shelf, limits: Limits, access: Access) -> list[BaseRoute]:
    async def to_folder(request: Request) -> Response:
        return RedirectResponse("classify/", 307)

    return [
        Route("/runs/{id}/classify", to_folder),
        Mount("/runs/{id}/classify", app=Classifiers(shelf, limits, access)),
    ]


class Classifiers:
    """The application of each run's classifier, made when it is first asked for; the last few are kept."""

    def __init__(self, shelf: Shelf, limits: Limits, access: Access) -> None:
        self._shelf, self._limits, self._access = shelf, limits, access
        self._apps: OrderedDict[tuple[Path, int], Starlette] = OrderedDict()
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        run = self._shelf.run(scope["path_params"]["id"])
        try:
            app = await run_in_threadpool(self._app, run)
        except (ClassifierError, OSError) as error:
            await problem(404, f"This run has no classifier that can be used: {error}")(scope, receive, send)
            return
        await app(scope, receive, send)

    def _app(self, run: RunFolder) -> Starlette:
        if not run.classifier.is_dir():
            raise HTTPException(404, "This run has no classifier. The list at / has the runs that can be tried.")
        # a study that is run again writes another classifier
        key = run.classifier, run.classifier.stat().st_mtime_ns
        with self._lock:
            app = self._apps.pop(key, None) or self._made(run.classifier)
            self._apps[key] = app
            while len(self._apps) > LOADED:
                batcher: Batcher = self._apps.popitem(last=False)[1].state.batcher
                batcher.close()
            return app

    def _made(self, folder: Path) -> Starlette:
        from headstart.classifier.predict import load

        classifier = load(folder)
        return create_app(classifier, self._limits, self._access, pages=page_routes(classifier, self._limits))
