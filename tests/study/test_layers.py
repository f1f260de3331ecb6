"""Layers of candidates as the run folder keeps them."""

import dataclasses
import time

import pytest

from headstart.features.cache import FeatureCache
from headstart.recipe import Candidate, Head, Optimizer, Phase, Training
from headstart.runs.folder import RunFolder
from headstart.study import layers
from headstart.study.layers import candidate_layers, layer_rows


def candidate(rate=1e-3, **settings):
    train = Training(optimizer=Optimizer(learning_rate=rate), **settings.pop("train", {}))
    return Candidate("small_cnn", image_size=8, train=train, **settings)


def test_a_study_keeps_the_layers_of_every_candidate(finished):
    folder = RunFolder(finished.result.folder)
    rows = folder.layers()
    for one in folder.summary().candidates:
        mine = [row for row in rows if row.candidate == one.id]
        assert sum(row.parameters for row in mine) == one.parameters.total
        assert sum(row.trainable for row in mine) == one.parameters.per_phase[-1]
        assert mine[0].output_shape == "32 x 32 x 3"
        assert (mine[-1].layer, mine[-1].kind, mine[-1].output_shape) == ("output", "Dense", "3")
    assert len(rows) == 3 * len(mine)


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path / "cache")


def test_what_trains_in_the_last_phase_is_said_layer_by_layer(cache):
    one = candidate(train={"phases": (Phase(2, "last 3"),)})
    table = candidate_layers(one, 3)
    rows = list(layer_rows([one], 3, cache))
    assert sum(row.trainable for row in rows) == table.phases[-1].trainable > table.phases[0].trainable
    assert [row.parameters for row in rows] == [row.parameters for row in table.layers]
    frozen = list(layer_rows([candidate()], 3, cache))
    assert [row.layer for row in frozen if row.trainable] == ["output"]


def test_networks_are_built_once(monkeypatch, cache):
    built = []

    def count(*arguments):
        built.append(arguments)
        return candidate_layers(*arguments)

    monkeypatch.setattr(layers, "candidate_layers", count)
    several = [candidate(rate) for rate in (1e-2, 1e-3, 1e-4)]
    rows = list(layer_rows([*several, candidate(head=Head("max"), name="other")], 3, cache))
    assert len(built) == 2
    assert len({row.candidate for row in rows}) == 4
    assert list(layer_rows([*several, candidate(head=Head("max"), name="other")], 3, cache)) == rows
    assert len(built) == 2  # the cache keeps them
    list(layer_rows(several, 4, cache))
    assert len(built) == 3


def test_a_network_that_cannot_be_built_has_no_layers(monkeypatch, cache):
    def fail(one, classes):
        raise MemoryError("no room")

    monkeypatch.setattr(layers, "candidate_layers", fail)
    assert list(layer_rows([candidate()], 3, cache)) == []


@pytest.mark.parametrize("head", [Head(output="logistic"), Head("flatten", ("dropout 0.5", "dense 4"))])
def test_every_head_has_its_rows(head, cache):
    one = dataclasses.replace(candidate(), head=head)
    rows = list(layer_rows([one], 3, cache))
    assert sum(row.parameters for row in rows) == candidate_layers(one, 3).parameters.total


def test_a_network_takes_no_second(cache):
    candidate_layers(candidate(), 3)
    start = time.perf_counter()
    list(layer_rows([candidate(rate) for rate in (1e-2, 1e-3)], 10, cache))
    assert time.perf_counter() - start < 1
