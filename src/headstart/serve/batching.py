"""Images of many requests at once -> full batches for the network, without a wait for a request that is alone.

As many threads as cores take turns at two kinds of work: decoding an image that waits, and running the network on a
batch of decoded images. A batch runs when it is full, when nothing is left to decode, or when its first image has
waited for longer than the last batch took. So a lone image is decoded and computed at once, under load batches fill by
themselves, no core waits for another, and a huge image holds up nobody but those who decode it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from headstart.classifier.info import ClassifierInfo
from headstart.classifier.prediction import Prediction
from headstart.errors import ImageError
from headstart.features.trunk import OPENVINO_BATCH, Pixels
from headstart.machine import core_count
from headstart.serve.limits import Limits
from headstart.serve.metrics import Metrics

GATHER_SECONDS = 0.02
"""At least so long, and at most as long as the last batch took, a decoded image waits while there are more to decode.
On two cores a MobileNet needs half as much work for an image in a batch of eight as for one alone: the wait pays."""

CLOSING_SECONDS = 2.0
"""How long the end waits for a thread that is at work; the process does not wait for it either."""


class Answerer(Protocol):
    """What the server needs of a classifier; ``classifier.predict.Classifier`` has it."""

    info: ClassifierInfo

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, in the order of the probabilities."""
        ...

    def decode(self, image: bytes, *, pixel_limit: int) -> Pixels:
        """Return uint8 pixels ``(height, width, 3)`` of an image file's bytes; raise ImageError."""
        ...

    def answer_pixels(self, pixels: Pixels, names: Sequence[str]) -> list[Prediction]:
        """Return the answers for pixels ``(images, height, width, 3)``; called from several threads."""
        ...


@dataclass(frozen=True, slots=True)
class Upload:
    """One image of a request: what it is called in the answer, and the bytes of its file."""

    name: str
    content: bytes


class QueueFullError(Exception):
    """No more images are taken: too many wait, or the server is ending."""


class _Ticket:
    """One request in the queue; its future gets the answers once the last image has its own."""

    def __init__(self, images: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[list[Prediction]] = self.loop.create_future()
        self.answers: list[Prediction | None] = [None] * images
        self.missing = images
        self.abandoned = False

    def finish(self, error: BaseException | None = None) -> None:
        """Wake the request up, from a worker's thread."""
        try:
            self.loop.call_soon_threadsafe(self._settle, error)
        except RuntimeError:
            # the loop has ended, and with it the request
            self.abandoned = True

    def _settle(self, error: BaseException | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result([one for one in self.answers if one is not None])
        else:
            self.future.set_exception(error)


@dataclass(slots=True, eq=False)
class _Job:
    """One image on its way; ``pixels`` and ``decoded_at`` (seconds) are there once it is decoded."""

    ticket: _Ticket
    place: int
    upload: Upload
    pixels: Pixels | None = None
    decoded_at: float = 0.0


class Batcher:
    """The queue and its worker threads, which start with the first image.

    Args:
        workers: threads; None: as many as cores.
    """

    def __init__(
        self,
        classifier: Answerer,
        limits: Limits,
        metrics: Metrics,
        *,
        batch_size: int = OPENVINO_BATCH,
        workers: int | None = None,
    ) -> None:
        self._classifier, self._limits, self._metrics = classifier, limits, metrics
        self._batch_size, self._workers = batch_size, workers or core_count()
        self._encoded: deque[_Job] = deque()
        self._decoded: deque[_Job] = deque()
        self._patience = GATHER_SECONDS
        self._unanswered = 0
        self._change = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._closed = False
        metrics.waiting = lambda: self._unanswered

    @property
    def ready(self) -> bool:
        """Whether images are taken."""
        return not self._closed

    async def answer(self, uploads: Sequence[Upload]) -> list[Prediction]:
        """Return the answers of one request, in order; an image that cannot be read gets its reason.

        A caller that is cancelled leaves the queue: what was not begun for it is dropped.

        Raises:
            QueueFullError: the queue has no room for so many.
        """
        if not uploads:
            return []
        ticket = _Ticket(len(uploads))
        self._enqueue([_Job(ticket, place, upload) for place, upload in enumerate(uploads)])
        try:
            return await ticket.future
        finally:
            ticket.abandoned = True

    def close(self) -> None:
        """End the threads after what they are at; whoever waits is told that no more images are taken."""
        with self._change:
            self._closed = True
            waiting = [*self._encoded, *self._decoded]
            self._encoded.clear()
            self._decoded.clear()
            self._change.notify_all()
        self._fail(waiting, QueueFullError())
        for thread in self._threads:
            thread.join(CLOSING_SECONDS)

    def _enqueue(self, jobs: Sequence[_Job]) -> None:
        with self._change:
            # a queue with nothing in it takes any one request, however many images it has
            if self._closed or (self._unanswered and self._unanswered + len(jobs) > self._limits.queue):
                raise QueueFullError
            self._start()
            self._unanswered += len(jobs)
            self._encoded.extend(jobs)
            self._change.notify(len(jobs))

    def _start(self) -> None:
        while len(self._threads) < self._workers:
            thread = threading.Thread(target=self._work, name=f"batcher-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while (step := self._next_step()) is not None:
            step()

    def _next_step(self) -> Callable[[], None] | None:
        """Wait for something to do and return it; None once the batcher is closed."""
        with self._change:
            while not self._closed:
                self._drop_abandoned()
                if self._batch_is_due():
                    count = min(self._batch_size, len(self._decoded))
                    batch = [self._decoded.popleft() for _ in range(count)]
                    return lambda: self._compute(batch)
                if self._encoded:
                    job = self._encoded.popleft()
                    return lambda: self._decode(job)
                self._change.wait()
        return None

    def _batch_is_due(self) -> bool:
        if not self._decoded:
            return False
        full = len(self._decoded) >= self._batch_size
        return full or not self._encoded or time.monotonic() - self._decoded[0].decoded_at > self._patience

    def _drop_abandoned(self) -> None:
        """Forget the images at the heads of the queues that nobody waits for; the lock is held."""
        for queue in (self._encoded, self._decoded):
            while queue and queue[0].ticket.abandoned:
                queue.popleft()
                self._unanswered -= 1

    def _decode(self, job: _Job) -> None:
        try:
            job.pixels = self._classifier.decode(job.upload.content, pixel_limit=self._limits.pixels)
        except ImageError as error:
            self._metrics.image_errors.add()
            self._settle([job], [Prediction(job.upload.name, None, (), None, str(error))])
            return
        except Exception as error:
            self._fail([job], error)
            return
        job.decoded_at = time.monotonic()
        with self._change:
            closed = self._closed
            if not closed:
                self._decoded.append(job)
        if closed:
            # nobody would come for it
            self._fail([job], QueueFullError())

    def _compute(self, batch: Sequence[_Job]) -> None:
        self._metrics.batches.observe(len(batch))
        start = time.monotonic()
        try:
            pixels = np.stack([job.pixels for job in batch if job.pixels is not None])
            answers = self._classifier.answer_pixels(pixels, [job.upload.name for job in batch])
        except Exception as error:
            self._fail(batch, error)
        else:
            self._patience = max(GATHER_SECONDS, time.monotonic() - start)
            self._settle(batch, answers)

    def _settle(self, jobs: Sequence[_Job], answers: Sequence[Prediction]) -> None:
        finished = []
        with self._change:
            self._unanswered -= len(jobs)
            for job, answer in zip(jobs, answers, strict=True):
                job.ticket.answers[job.place] = answer
                job.ticket.missing -= 1
                if not job.ticket.missing:
                    finished.append(job.ticket)
        for ticket in finished:
            ticket.finish()

    def _fail(self, jobs: Sequence[_Job], error: Exception) -> None:
        with self._change:
            self._unanswered -= len(jobs)
        for ticket in {job.ticket for job in jobs}:
            ticket.abandoned = True
            ticket.finish(error)
