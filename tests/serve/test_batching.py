"""The queue: full batches under load, no wait when idle, nothing lost when one image or the network fails."""

import asyncio
import threading
import time

import numpy as np
import pytest

from headstart.errors import ImageError
from headstart.serve.batching import Batcher, QueueFullError, Upload
from headstart.serve.limits import Limits
from headstart.serve.metrics import Metrics

from .conftest import in_own_loop


class Numbers:
    """Images are written numbers; the answer to one is the number itself. Decoding can be slow for single ones."""

    info = None
    classes = ()

    def __init__(self):
        self.batches, self.threads, self.slow, self.fault = [], set(), {}, None
        self.decoded = []
        self.gate = threading.Event()
        self.gate.set()

    def decode(self, image, *, pixel_limit):
        self.gate.wait(20)
        self.decoded.append(int(image))
        self.threads.add(threading.current_thread().name)
        time.sleep(self.slow.get(int(image), 0))
        if int(image) < 0:
            raise ImageError("negative")
        return np.full((1, 1, 3), int(image), np.uint8)

    def answer_pixels(self, pixels, names):
        if self.fault:
            raise self.fault
        self.batches.append(len(names))
        return list(zip(names, pixels[:, 0, 0, 0].tolist(), strict=True))


@pytest.fixture
def numbers():
    return Numbers()


def run(numbers, ask, *, limits=Limits(), **options):  # noqa: B008
    """Run ``ask(batcher)`` in a loop of its own; return its value and the batcher's metrics."""
    metrics = Metrics()

    async def whole():
        batcher = Batcher(numbers, limits, metrics, **options)
        try:
            return await ask(batcher)
        finally:
            numbers.gate.set()
            await asyncio.to_thread(batcher.close)

    return in_own_loop(whole()), metrics


def uploads(*values):
    return [Upload(f"n{value}", str(value).encode()) for value in values]


def test_answers_keep_the_order_of_the_request(numbers):
    numbers.slow = {0: 0.05, 5: 0.02}
    answers, metrics = run(numbers, lambda batcher: batcher.answer(uploads(*range(20))), workers=3)
    assert answers == [(f"n{value}", value) for value in range(20)]
    assert metrics.waiting() == 0
    assert len(numbers.threads) == 3


def test_no_images_need_no_thread(numbers):
    assert run(numbers, lambda batcher: batcher.answer([]))[0] == []
    assert not numbers.threads


def test_a_lone_image_is_answered_at_once(numbers):
    async def ask(batcher):
        await batcher.answer(uploads(1))
        start = time.perf_counter()
        for value in range(10):
            await batcher.answer(uploads(value))
        return time.perf_counter() - start

    seconds, _ = run(numbers, ask, workers=2)
    # ten times the gathering time would be 0.2 s
    assert seconds < 0.15
    assert set(numbers.batches) == {1}


def test_requests_at_once_share_batches(numbers):
    async def ask(batcher):
        numbers.gate.clear()
        asked = [asyncio.create_task(batcher.answer(uploads(value))) for value in range(64)]
        await asyncio.sleep(0.05)
        assert batcher._unanswered == 64
        numbers.gate.set()
        return await asyncio.gather(*asked)

    answers, metrics = run(numbers, ask, workers=2, batch_size=8)
    assert answers == [[(f"n{value}", value)] for value in range(64)]
    assert sum(numbers.batches) == 64
    assert max(numbers.batches) == 8
    assert len(numbers.batches) < 32
    assert metrics.batches.count == len(numbers.batches)


def test_one_slow_image_holds_up_nobody_else(numbers):
    numbers.slow = {0: 0.6}

    async def ask(batcher):
        slow = asyncio.create_task(batcher.answer(uploads(0)))
        await asyncio.sleep(0.02)
        start = time.perf_counter()
        await batcher.answer(uploads(*range(1, 30)))
        seconds = time.perf_counter() - start
        assert not slow.done()
        await slow
        return seconds

    assert run(numbers, ask, workers=2)[0] < 0.4


def test_a_bad_image_has_its_reason_and_the_rest_their_answers(numbers):
    answers, metrics = run(numbers, lambda batcher: batcher.answer(uploads(1, -2, 3)))
    assert [answers[0], answers[2]] == [("n1", 1), ("n3", 3)]
    assert (answers[1].path, answers[1].error, answers[1].answer) == ("n-2", "negative", None)
    assert metrics.image_errors.value() == 1


def test_a_fault_fails_its_requests_and_the_next_is_answered(numbers):
    async def ask(batcher):
        numbers.fault = RuntimeError("no memory")
        with pytest.raises(RuntimeError, match="no memory"):
            await batcher.answer(uploads(*range(30)))
        numbers.fault = None
        answers = await batcher.answer(uploads(7))
        for _ in range(100):
            if not batcher._unanswered:
                break
            await asyncio.sleep(0.01)
        return answers

    answers, metrics = run(numbers, ask)
    assert answers == [("n7", 7)]
    assert metrics.waiting() == 0


def test_a_full_queue_takes_no_more_but_an_empty_one_takes_any_request(numbers):
    async def ask(batcher):
        numbers.gate.clear()
        first = asyncio.create_task(batcher.answer(uploads(*range(6))))
        await asyncio.sleep(0.02)
        with pytest.raises(QueueFullError):
            await batcher.answer(uploads(6))
        numbers.gate.set()
        await first
        return await batcher.answer(uploads(6))

    assert run(numbers, ask, limits=Limits(queue=3))[0] == [("n6", 6)]


def test_what_nobody_waits_for_is_dropped(numbers):
    async def ask(batcher):
        numbers.gate.clear()
        asked = asyncio.create_task(batcher.answer(uploads(*range(50))))
        await asyncio.sleep(0.05)
        asked.cancel()
        await asyncio.sleep(0.01)
        numbers.gate.set()
        return await batcher.answer(uploads(99))

    answers, metrics = run(numbers, ask, workers=2)
    assert answers == [("n99", 99)]
    assert len(numbers.decoded) <= 3
    assert metrics.waiting() == 0


def test_a_closed_batcher_takes_nothing(numbers):
    async def ask(batcher):
        assert batcher.ready
        await asyncio.to_thread(batcher.close)
        assert not batcher.ready
        with pytest.raises(QueueFullError):
            await batcher.answer(uploads(1))

    run(numbers, ask)


@pytest.mark.parametrize("images", [1, 9])
def test_who_waits_when_the_batcher_is_closed_is_told(numbers, images):
    async def ask(batcher):
        numbers.gate.clear()
        asked = asyncio.create_task(batcher.answer(uploads(*range(images))))
        await asyncio.sleep(0.02)
        closing = asyncio.create_task(asyncio.to_thread(batcher.close))
        # with one image, a worker is decoding it: it is told after that
        await asyncio.sleep(0.02)
        numbers.gate.set()
        with pytest.raises(QueueFullError):
            await asyncio.wait_for(asked, 5)
        await closing

    _, metrics = run(numbers, ask, workers=2)
    assert metrics.waiting() == 0
