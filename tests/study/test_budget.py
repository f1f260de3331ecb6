"""A study within a budget of time: what takes part, for how long, and what is left out."""

import dataclasses
from types import SimpleNamespace

import pytest

from headstart.errors import UsageError
from headstart.recipe import Candidate, Head, Phase, Protocol, Recipe, Training
from headstart.study import budget as module
from headstart.study.budget import NO_ROOM, Budget
from headstart.study.jobs import Jobs
from headstart.study.judge import Judged
from headstart.study.settings import Settings, recipe_from

TUNED = Training(5, phases=(Phase(20, trainable="last 3"),))


class Clock:
    """A stopwatch that a test sets."""

    def __init__(self):
        self.total = 0.0


class Learner:
    """Trains nothing, and says how long that took."""

    def __init__(self, clock, seconds, *, elapsing):
        self.clock, self.seconds, self.elapsing, self.jobs = clock, seconds, elapsing, []

    def train(self, stage, jobs, store, progress):
        self.jobs += jobs
        self.clock.total += self.seconds if self.elapsing else 0.0
        return [SimpleNamespace(seconds=self.seconds)]


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Return a maker of budgets: networks with their costs in seconds, and how long a round really takes."""

    def make(seconds, frozen, tuned, *, round_seconds=1.0, elapsing=True):
        clock, said = Clock(), []
        networks = [network(name, "heads") for name in frozen] + [network(name, "tail") for name in tuned]
        candidates = tuple(one for each in networks for one in each.candidates)
        plan = SimpleNamespace(networks=networks, recipe=Recipe(candidates, protocol=Protocol(budget=seconds)))
        rounds = [SimpleNamespace(repeat=0, fold=fold, train=range(8), validation=range(2)) for fold in range(5)]
        parts = SimpleNamespace(rows=range(100), rounds=rounds)
        place = SimpleNamespace(
            stopwatch=clock, jobs=Jobs(tmp_path / "jobs", "study"), progress=SimpleNamespace(say=said.append)
        )
        ready = lambda wanted: [  # noqa: E731
            SimpleNamespace(network=one, learner=Learner(clock, round_seconds, elapsing=elapsing), reason=None)
            for one in wanted
        ]
        costs = {**frozen, **tuned}
        measurement = SimpleNamespace(
            network_seconds=lambda one: costs[one.name],
            features=lambda one: 0.0,
            tuned=lambda one: costs[one.name],
            combining=lambda networks: 0.0,
        )
        monkeypatch.setattr(module, "Measurement", lambda *_: measurement)
        monkeypatch.setattr(module, "judge", judge)
        monkeypatch.setattr(module, "candidate_result", lambda one, plan, parts: one)
        monkeypatch.setattr(
            module, "best_first", lambda results, measure: [one.network.backbone_row for one in results]
        )
        return Budget(plan, parts, None, place, SimpleNamespace(ready=ready)), said

    return make


def network(name, learner):
    backbone = name.removesuffix("-tuned")
    head, train = (Head(output="logistic"), Training()) if learner == "heads" else (Head(), TUNED)
    candidate = Candidate(backbone, name=name, head=head, train=train)
    return module.Network(
        name, SimpleNamespace(name=backbone), None, None, 0, None, learner, 0, "average", (), (candidate,)
    )


def judge(prepared, parts, protocol, place):
    return [
        Judged(one.network, candidate, one.learner, (), 0.0, None)
        for one in prepared
        for candidate in one.network.candidates
    ]


@pytest.fixture(autouse=True)
def backbones_of_networks(monkeypatch):
    """Networks stand in for the results that the ranking gives."""
    monkeypatch.setattr(
        module.Network,
        "backbone_row",
        property(lambda self: SimpleNamespace(backbone=self.backbone.name)),
        raising=False,
    )


def by_id(judged):
    return {one.candidate.id: one for one in judged}


def test_everything_fits_into_much_time(made):
    found, _ = made(1000.0, {"mobilenet": 10, "resnet50": 20}, {"mobilenet-tuned": 100})
    _, judged = found.run()
    assert not any(one.skipped for one in judged)
    assert by_id(judged)["mobilenet-tuned"].candidate.train.phases[0].epochs == 20


def test_the_cheapest_frozen_network_always_takes_part_and_others_only_where_they_fit(made):
    found, _ = made(60.0, {"resnet50": 500, "mobilenet": 100}, {})
    _, judged = found.run()
    assert not by_id(judged)["mobilenet"].skipped
    assert (by_id(judged)["resnet50"].skipped, by_id(judged)["resnet50"].reason) == (True, NO_ROOM)


def test_fine_tuning_takes_as_many_epochs_as_fit(made):
    found, said = made(200.0, {"mobilenet": 1}, {"mobilenet-tuned": 400})
    _, judged = found.run()
    # 85 % of what is left beside the end of the study, over 400 seconds for 20 epochs
    left = 0.85 * (200 - module.AFTERWARDS - 100 * module.AFTERWARDS_PER_IMAGE)
    epochs = int(left / 400 * 20)
    assert 3 <= epochs < 20
    assert by_id(judged)["mobilenet-tuned"].candidate.train.phases[0].epochs == epochs
    assert said[0] == f"Within the budget, epochs of mobilenet-tuned: {5 + epochs}."


def test_combinations_are_reserved(made, monkeypatch):
    found, _ = made(200.0, {"mobilenet": 1}, {"mobilenet-tuned": 400})
    monkeypatch.setattr(module.Measurement(), "combining", lambda networks: 60.0 * len(networks))
    _, judged = found.run()
    left = 0.85 * (200 - 60 - module.AFTERWARDS - 100 * module.AFTERWARDS_PER_IMAGE)
    assert by_id(judged)["mobilenet-tuned"].candidate.train.phases[0].epochs == int(left / 400 * 20)


def test_combinations_of_networks_that_do_not_fit_are_not_reserved(made, monkeypatch):
    found, _ = made(200.0, {"mobilenet": 1, "resnet50": 90}, {})
    monkeypatch.setattr(module.Measurement(), "combining", lambda networks: 5.0 * len(networks))
    _, judged = found.run()
    assert by_id(judged)["resnet50"].skipped
    assert found.for_combinations == 5.0


def test_final_trainings_of_frozen_networks_are_reserved(made, monkeypatch):
    found, _ = made(200.0, {"mobilenet": 1}, {"mobilenet-tuned": 400})
    monkeypatch.setattr(
        module, "judge", lambda *given: [dataclasses.replace(one, seconds=50.0) for one in judge(*given)]
    )
    _, judged = found.run()
    # ten seconds for each of five rounds
    left = 0.85 * (200 - 13 - module.AFTERWARDS - 100 * module.AFTERWARDS_PER_IMAGE)
    assert by_id(judged)["mobilenet-tuned"].candidate.train.phases[0].epochs == int(left / 400 * 20)


def test_rounds_of_an_earlier_start_count_with_their_own_seconds(made):
    found, said = made(200.0, {"mobilenet": 1}, {"mobilenet-tuned": 100}, round_seconds=90.0, elapsing=False)
    _, judged = found.run()
    assert by_id(judged)["mobilenet-tuned"].skipped
    assert any("longer than forecast" in one for one in said)


def test_too_few_epochs_are_not_worth_it(made):
    found, _ = made(100.0, {"mobilenet": 1}, {"mobilenet-tuned": 2000})
    _, judged = found.run()
    assert by_id(judged)["mobilenet-tuned"].skipped


def test_what_takes_longer_than_forecast_is_given_up(made):
    found, said = made(200.0, {"mobilenet": 1}, {"mobilenet-tuned": 100}, round_seconds=90.0)
    _, judged = found.run()
    assert by_id(judged)["mobilenet-tuned"].skipped
    assert any("longer than forecast" in one for one in said)


def test_a_decision_is_found_again(made):
    first, _ = made(200.0, {"mobilenet": 1}, {"mobilenet-tuned": 400})
    _, judged = first.run()
    epochs = by_id(judged)["mobilenet-tuned"].candidate.train.phases[0].epochs
    second, _ = made(200.0, {"mobilenet": 1}, {"mobilenet-tuned": 399})
    second.place.stopwatch.total = 30.0
    _, again = second.run()
    assert by_id(again)["mobilenet-tuned"].candidate.train.phases[0].epochs == epochs


def test_a_budget_brings_fine_tuning_with_it():
    recipe = recipe_from(Settings(backbones=("mobilenet",), budget=600.0))
    assert [one.id for one in recipe.candidates] == ["mobilenet-logistic", "mobilenet-finetuned"]
    assert recipe.protocol.budget == 600.0


@pytest.mark.parametrize(("text", "status"), [("ten", 2), ("10", 2), ("-5m", 2)])
def test_a_time_has_a_unit(headstart, tmp_path, text, status):
    (tmp_path / "photos").mkdir()
    found, _, talk = headstart("compare", tmp_path / "photos", f"--budget={text}")
    assert found == status
    assert "such as 90s, 10m or 1.5h" in talk


def test_a_budget_below_nothing_is_refused():
    with pytest.raises(UsageError, match=r"protocol\.budget must be seconds"):
        Recipe((Candidate("mobilenet"),), protocol=Protocol(budget=-1.0))


def test_without_a_frozen_network_something_is_handed_over_all_the_same(made):
    found, _ = made(20.0, {}, {"mobilenet-tuned": 4000}, round_seconds=90.0)
    _, judged = found.run()
    assert [one.skipped for one in judged] == [False]


def test_a_network_that_cannot_be_measured_is_left_out_and_the_rest_goes_on(made, monkeypatch):
    found, _ = made(500.0, {"mobilenet": 1}, {"mobilenet-tuned": 10})

    def fails(network):
        raise RuntimeError("no memory")

    monkeypatch.setattr(module.Measurement(), "tuned", fails)
    _, judged = found.run()
    assert by_id(judged)["mobilenet-tuned"].skipped and not by_id(judged)["mobilenet"].skipped
