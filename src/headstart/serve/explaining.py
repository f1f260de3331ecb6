"""Where the classifier looked in one image of a request: ``POST /explain``."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from headstart import storage
from headstart.classifier.explain import Explainer, overlay, placed
from headstart.classifier.heat import where
from headstart.classifier.predict import Classifier
from headstart.data import decode
from headstart.errors import ClassifierError, ImageError, did_you_mean
from headstart.serve.batching import Answerer
from headstart.serve.bodies import Ledger, clean_name, parameter, read_images
from headstart.serve.limits import Limits
from headstart.serve.problems import busy, late

METHOD = "grad-cam"
LARGEST = 800
"""Longest side of the picture in the answer, in pixels."""
WAITING = 8
"""Images that may wait to be explained, one after the other; more: 429."""

ONE_PLACE = "The network's last feature map has one place only, so it cannot say where."

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Look:
    """Where the classifier looked: the class with its calibrated probability, a sentence, and a picture with the heat.

    ``picture`` is a data address that holds a JPEG.
    """

    class_: str
    probability: float
    method: str
    where: str
    picture: str


class Explaining:
    """Explains one image at a time, within the limits of the server."""

    def __init__(self, classifier: Answerer, limits: Limits) -> None:
        self._classifier, self._limits = classifier, limits
        self._ledger = Ledger(limits)
        self._turn = asyncio.Semaphore(1)
        self._waiting = 0

    async def answer(self, request: Request) -> Response:
        """Explain the one image of a request; ``?class=`` names the class, by default the answer."""
        class_ = self._class(request)
        with self._ledger.account() as account:
            uploads = await read_images(request, self._limits, account)
            if len(uploads) != 1:
                raise HTTPException(422, f"Send one image. Received: {len(uploads)}.")
            look = await self._in_turn(uploads[0].content, class_)
        return JSONResponse(storage.to_plain(look))

    def _class(self, request: Request) -> str | None:
        class_ = parameter(request, "class")
        if class_ is not None and class_ not in self._classifier.classes:
            hint = did_you_mean(class_, self._classifier.classes)
            raise HTTPException(400, f"There is no class {clean_name(class_)!r}.{hint} GET /classes lists them.")
        return class_

    async def _in_turn(self, content: bytes, class_: str | None) -> Look:
        if self._waiting >= WAITING:
            raise busy(429, f"{WAITING} images wait to be explained. Try again later.")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._limits.seconds):
                await self._turn.acquire()
                work = asyncio.create_task(run_in_threadpool(self._look, content, class_))
                work.add_done_callback(self._free)
                return await asyncio.shield(work)
        except TimeoutError:
            raise late(self._limits.seconds) from None
        except ImageError as error:
            raise HTTPException(422, f"The image cannot be used: {error}.") from None
        except ClassifierError as error:
            raise HTTPException(501, str(error)) from None
        finally:
            self._waiting -= 1

    def _free(self, work: asyncio.Task[Look]) -> None:
        """Let the next one in: not before the thread has ended, even if nobody waits for this one any more."""
        self._turn.release()
        if not work.cancelled():
            # a reason that nobody waits for is none for the log
            work.exception()

    @cached_property
    def _explainer(self) -> Explainer:
        if not isinstance(self._classifier, Classifier):
            raise ClassifierError("This classifier cannot show where it looked.")
        return Explainer(self._classifier)

    def _look(self, content: bytes, wanted: str | None) -> Look:
        explainer = self._explainer
        size, pixel_limit = self._classifier.info.size, self._limits.pixels
        seen, shown = decode.load_and_show(content, size, largest=LARGEST, pixel_limit=pixel_limit)
        [prediction] = self._classifier.answer_pixels(seen[np.newaxis], ["image"])
        probabilities = {one.class_: one.probability for one in prediction.ranked}
        answered = prediction.answer if prediction.answer in probabilities else prediction.ranked[0].class_
        chosen = wanted or str(answered)
        # what the network sees has its size already, which leaves it as it is
        [heat] = explainer.grad_cam([seen], [self._classifier.classes.index(chosen)])
        picture, words = self._drawn(shown, heat)
        return Look(chosen, probabilities[chosen], METHOD, words, picture)

    def _drawn(self, shown: Pixels, heat: NDArray[np.float32]) -> tuple[str, str]:
        """Return the address of the picture with its heat, and where that lies in words."""
        height, width = shown.shape[:2]
        on_it = placed(heat, height, width, self._classifier.info.size)
        address = decode.jpeg_address(decode.jpeg(overlay(shown, on_it), quality=85))
        return address, where(on_it) if heat.size > 1 else ONE_PLACE
