"""Prometheus' text format, by the words of its description, and counts that threads do not lose."""

import math
import re
import threading

import pytest

from headstart.serve.metrics import Counter, Histogram, Metrics

LINE = re.compile(r'[a-z_]+(\{[a-z]+="(?:[^"\\]|\\.)*"(,[a-z]+="(?:[^"\\]|\\.)*")*\})? (\+Inf|-?[0-9.e+-]+)')


def test_a_counter_counts_per_label_and_escapes_what_would_break_the_line():
    counter = Counter("requests_total", "Requests.", ("path", "status"))
    counter.add("/a", "200")
    counter.add("/a", "200", amount=2)
    counter.add('"\\\n', "404")
    assert counter.value("/a", "200") == 3
    assert list(counter.lines()) == [
        r'requests_total{path="\"\\\n",status="404"} 1',
        'requests_total{path="/a",status="200"} 3',
    ]


def test_a_counter_without_labels_begins_at_zero():
    assert list(Counter("images_total", "Images.").lines()) == ["images_total 0"]


def test_a_histogram_is_cumulative_and_a_bound_counts_its_own_value():
    histogram = Histogram("seconds", "Seconds.", (0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 1.0, 7.0):
        histogram.observe(value)
    assert list(histogram.lines()) == [
        'seconds_bucket{le="0.1"} 2',
        'seconds_bucket{le="1"} 4',
        'seconds_bucket{le="+Inf"} 5',
        "seconds_sum 8.65",
        "seconds_count 5",
    ]


def test_threads_lose_no_count():
    counter, histogram = Counter("a", "A.", ("b",)), Histogram("c", "C.", (1.0,))

    def count():
        for _ in range(2000):
            counter.add("x")
            histogram.observe(0.5)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.value("x") == histogram.count == 8000


def test_the_whole_text_has_help_type_and_lines_that_parse():
    metrics = Metrics()
    metrics.requests.add("/predict", "200")
    metrics.seconds.observe(0.2)
    metrics.waiting = lambda: 7
    text = metrics.text()
    assert text.endswith("\n")
    names = re.findall(r"# TYPE (\w+) (?:counter|gauge|histogram)", text)
    assert len(names) == len(set(names)) == len(re.findall(r"# HELP \w+ .+\.", text)) == 8
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert not [line for line in samples if not LINE.fullmatch(line)]
    assert "headstart_queue_images 7" in samples
    assert float(samples[-1].split()[1]) == pytest.approx(metrics.uptime, abs=1)
    assert math.isfinite(metrics.uptime)
