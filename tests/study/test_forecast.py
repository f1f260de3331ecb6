"""What a study is said to take, and what saying so may cost."""

import dataclasses
import time

import pytest

from headstart import storage
from headstart.data.images import read_table
from headstart.progress import SILENT
from headstart.recipe import Candidate
from headstart.runs.folder import RunFolder
from headstart.study.forecast import AFTERWARDS, AFTERWARDS_PER_IMAGE, Measurement, duration, forecast
from headstart.study.parts import make_parts
from headstart.study.plan import make_plan
from headstart.study.settings import recipe_from
from headstart.study.workplace import Stopwatch, open_workplace
from headstart.study.workshop import Workshop


@pytest.fixture
def measured(finished, tmp_path, monkeypatch):
    """Return a maker of forecasts of the finished study in a folder of its own, with its cache or an empty one."""

    def make(cache, **more):
        monkeypatch.setenv("HEADSTART_CACHE", str(cache))
        recipe = recipe_from(dataclasses.replace(finished.settings, **more))
        table = read_table(finished.data, rules=recipe.data, cache=storage.cache_folder())
        plan = make_plan(table, recipe, weights_dir=None, folds_asked=False)
        place = open_workplace(RunFolder(tmp_path / "run"), plan, SILENT, command="")
        parts, workshop = make_parts(plan.splits, table.classes), Workshop(place, precision="f32", classes=3)
        make.parts.append(parts)
        return forecast(plan, parts, workshop, place), len(parts.rows)

    make.parts = []
    return make


def test_what_is_there_is_not_built_again(finished, measured, monkeypatch):
    monkeypatch.setattr(Workshop, "trunk", lambda *_: pytest.fail("the features are there"))
    found, images = measured(finished.cache)
    assert found.size_bytes == 0
    assert found.seconds > AFTERWARDS + AFTERWARDS_PER_IMAGE * images


@pytest.fixture
def priced(measured, monkeypatch):
    """Return the maker of forecasts where every measurement gives a known price."""
    monkeypatch.setattr(Measurement, "_trunk", lambda self, network, missing: 0.01)
    monkeypatch.setattr(Measurement, "_decoding", 0.002)
    monkeypatch.setattr(Measurement, "_trained", lambda self, network, jobs: 3.0)
    monkeypatch.setattr(
        Measurement, "_solved", lambda self, jobs, inputs, images: 1e-6 * jobs * inputs * images if jobs else 0.0
    )
    return measured


def afterwards(images):
    return AFTERWARDS + AFTERWARDS_PER_IMAGE * images


def test_features_that_are_missing_count(finished, priced, tmp_path):
    (there, _), (missing, images) = (priced(one, logistic=False) for one in (finished.cache, tmp_path / "empty"))
    # 1,024 values of four bytes each
    assert missing.size_bytes == images * 1024 * 4
    assert missing.seconds - there.seconds == pytest.approx(images * (0.01 + 0.002))
    assert there.seconds == pytest.approx(afterwards(images) + 3.0)


def test_combinations_count_with_their_mirror_images(priced, tmp_path, monkeypatch):
    (plain, images), (control, _) = priced(tmp_path / "empty"), priced(tmp_path / "empty", combine=True)
    # random weights are a control, which is never combined
    assert control == plain
    assert plain.size_bytes == images * 1024 * 4
    monkeypatch.setattr(Candidate, "is_control", property(lambda self: False))
    alone, _ = priced(tmp_path / "empty", combine=True)
    assert alone.size_bytes == images * 2 * 1024 * 4
    assert alone.seconds - plain.seconds == pytest.approx(images * (0.01 + 0.002))
    two = {"backbones": ("mobilenet:random", "mobilenet_v2:random")}
    (apart, _), (both, _) = priced(tmp_path / "empty", **two), priced(tmp_path / "empty", combine=True, **two)
    assert both.size_bytes == images * 2 * (1024 + 1280) * 4
    # once as they are, and once with their mirror images
    learned = len(priced.parts[-1].rounds[0].train)
    heads = 1e-6 * len(priced.parts[-1].rounds) * (1024 + 1280) * 3 * learned
    assert both.seconds - apart.seconds == pytest.approx(2 * images * (0.01 + 0.002) + heads)


def test_a_network_that_fails_counts_for_nothing_in_combinations(priced, tmp_path, monkeypatch):
    monkeypatch.setattr(Candidate, "is_control", property(lambda self: False))
    expected, _ = priced(tmp_path / "empty", logistic=False)

    def fails(self, network, missing):
        raise RuntimeError("no such layer")

    monkeypatch.setattr(Measurement, "_trunk", fails)
    found, images = priced(tmp_path / "empty", combine=True, logistic=False)
    # neither its features nor its heads can be measured
    assert found.seconds == pytest.approx(expected.seconds - images * 0.01 - 3.0)


def test_a_stopwatch_begins_where_the_command_began():
    assert Stopwatch(_start=time.perf_counter() - 100).total > 100


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (89, "89 s"), (600, "10 min"), (7200, "2.0 h")])
def test_durations_in_words(seconds, words):
    assert duration(seconds) == words
