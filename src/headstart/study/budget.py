"""A study within a budget of time: frozen networks first, then fine-tuning of the most promising for as long as fits.

The final trainings, the test and all that follows are reserved before anything starts. What was decided is kept with
the finished units of work, so that the same command goes on with the same decisions.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from headstart.evaluation.ranking import best_first
from headstart.recipe import Candidate
from headstart.study.attempt import attempt
from headstart.study.forecast import AFTERWARDS, AFTERWARDS_PER_IMAGE, Measurement, duration
from headstart.study.judge import Judged, candidate_result, judge, left_out, round_jobs
from headstart.study.networks import HEADS, Network
from headstart.study.parts import Parts
from headstart.study.plan import Plan
from headstart.study.prepare import Preparation, Prepared
from headstart.study.workplace import Workplace
from headstart.study.workshop import Workshop

# Forecasts may be wrong by so much: what they leave of the budget is a reserve.
RELIED_ON = 0.85
# The share of the budget in which features of frozen networks beyond the first must be there.
FOR_FEATURES = 0.4
FEWEST_EPOCHS = 3
# A final training learns from all training images: so many rounds.
FINAL_ROUNDS = 1.3
# To measure a training in Keras takes some of this many seconds; less time than that is not worth it.
LEAST_WORTH_MEASURING = 30
NO_ROOM = "It would not have fitted into the budget."


@dataclass(slots=True)
class Budget:
    """What is left of the time, and what was tried with it."""

    plan: Plan
    parts: Parts
    workshop: Workshop
    place: Workplace
    preparation: Preparation
    prepared: list[Prepared] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    for_finals: float = 0.0
    for_combinations: float = 0.0

    def run(self) -> tuple[list[Prepared], list[Judged]]:
        """Judge as many candidates as the budget allows; the others keep their place with the reason."""
        measurement = Measurement(self.plan, self.parts, self.workshop, self.place)
        frozen = [one for one in self.plan.networks if one.learner == HEADS]
        tuned = [one for one in self.plan.networks if one.learner != HEADS]
        self._judge(self._affordable(frozen, measurement))
        self.for_finals = sum(FINAL_ROUNDS * one.seconds / len(self.parts.rounds) for one in self.judged)
        for network in self._most_promising(tuned):
            self._tune(network, measurement)
        reached = {one.candidate.id for one in self.judged}
        for network in self.plan.networks:
            self.judged += [left_out(network, one, NO_ROOM) for one in network.candidates if one.id not in reached]
        order = [one.id for one in self.plan.recipe.candidates]
        self.judged.sort(key=lambda one: order.index(one.candidate.id))
        return self.prepared, self.judged

    @property
    def left(self) -> float:
        """Seconds until the final trainings, the test and all that follows must begin."""
        total = self.plan.recipe.protocol.budget
        afterwards = AFTERWARDS + AFTERWARDS_PER_IMAGE * len(self.parts.rows)
        return total - afterwards - self.for_finals - self.for_combinations - self.place.stopwatch.total

    def _affordable(self, networks: Sequence[Network], measurement: Measurement) -> list[Network]:
        """Return the frozen networks whose features and heads fit, the cheapest first; one at least."""
        costs = {one.name: _seconds(partial(measurement.network_seconds, one)) for one in networks}
        chosen: list[Network] = []
        spent = 0.0
        for network in sorted(networks, key=lambda one: costs[one.name]):
            spent += costs[network.name]
            combining = measurement.combining([*chosen, network])
            fits = not chosen or spent <= FOR_FEATURES * (self.left - combining)
            if self._decided(f"features of {network.name}", lambda fits=fits: int(fits)):  # type: ignore[misc]
                chosen.append(network)
        self.for_combinations = measurement.combining(chosen)
        return chosen

    def _decided(self, question: str, decide: Callable[[], int]) -> int:
        """Return what an earlier start decided, or decide now: how fast the machine was must not count twice."""
        answer = self.place.jobs.decided(question)
        if answer is None:
            answer = decide()
            self.place.jobs.decide(question, answer)
        return answer

    @property
    def _has_result(self) -> bool:
        """Whether there is anything to hand over."""
        return any(not one.reason for one in self.judged)

    def _judge(self, networks: Sequence[Network]) -> None:
        prepared = self.preparation.ready(networks)
        self.prepared += prepared
        self.judged += judge(prepared, self.parts, self.plan.recipe.protocol, self.place)

    def _most_promising(self, networks: Sequence[Network]) -> list[Network]:
        """Return networks in the order in which their frozen backbones did; those whose backbone is none come last."""
        results = [candidate_result(one, self.plan, self.parts) for one in self.judged]
        ranked = [one.backbone for one in best_first(results, self.plan.recipe.protocol.choose_by)]
        place = {name: number for number, name in reversed(list(enumerate(ranked)))}
        return sorted(networks, key=lambda one: place.get(one.backbone.name, len(ranked)))

    def _tune(self, network: Network, measurement: Measurement) -> None:
        """Fine-tune a network for as many epochs as fit, if that is more than a few."""
        decision = f"epochs of {network.name}"
        epochs = self._decided(decision, partial(self._epochs_that_fit, network, measurement))
        if epochs < FEWEST_EPOCHS and self._has_result:
            return
        epochs = max(1, epochs)
        candidates = tuple(_with_epochs(one, epochs) for one in network.candidates)
        shortened = dataclasses.replace(network, candidates=candidates)
        all_epochs = max(one.train.all_epochs for one in candidates)
        self.place.progress.say(f"Within the budget, epochs of {candidates[0].id}: {all_epochs}.")
        [prepared] = self.preparation.ready([shortened])
        self.prepared.append(prepared)
        if self._finishes(prepared):
            self.judged += judge([prepared], self.parts, self.plan.recipe.protocol, self.place)
        else:
            self.place.jobs.decide(decision, 0)

    def _epochs_that_fit(self, network: Network, measurement: Measurement) -> int:
        planned = max(one.train.all_epochs for one in network.candidates)
        if self.left < LEAST_WORTH_MEASURING:
            return 0
        features, whole = (_seconds(partial(one, network)) for one in (measurement.features, measurement.tuned))
        room = RELIED_ON * self.left - features
        if not room > 0 or not math.isfinite(whole):
            return 0
        if whole <= 0:
            return planned
        last = max((one.train.phases[-1].epochs if one.train.phases else planned) for one in network.candidates)
        return max(0, min(last, int(room / whole * last)))

    def _finishes(self, prepared: Prepared) -> bool:
        """Train round by round; give up, and say so, when the rest would take longer than there is time."""
        if prepared.learner is None:
            return True
        network, protocol = prepared.network, self.plan.recipe.protocol
        jobs = round_jobs(network.candidates, self.parts.rounds, protocol)
        spent = each = 0.0
        for done, job in enumerate(jobs, start=1):
            _, trained = attempt(partial(prepared.learner.train, "rounds", [job], self.place.jobs, self.place.progress))
            if trained is None:
                # the judge will meet the failure and report it
                return True
            # a round that an earlier start finished took as long as it took then
            spent += trained[0].seconds
            each = spent / done
            if each * (len(jobs) - done + FINAL_ROUNDS * len(network.candidates)) > self.left and self._has_result:
                self.place.progress.say(
                    f"{network.candidates[0].id} takes longer than forecast, {duration(each)} a round: it is left out."
                )
                return False
        self.for_finals += FINAL_ROUNDS * each * len(network.candidates)
        return True


def _seconds(measure: Callable[[], float]) -> float:
    """Return what was measured; what cannot be is never affordable."""
    _, found = attempt(measure)
    return math.inf if found is None else found


def _with_epochs(candidate: Candidate, epochs: int) -> Candidate:
    """Return a candidate whose last phase has so many epochs, at most those that it had."""
    train = candidate.train
    if not train.phases:
        return dataclasses.replace(candidate, train=dataclasses.replace(train, epochs=min(epochs, train.epochs)))
    last = dataclasses.replace(train.phases[-1], epochs=min(epochs, train.phases[-1].epochs))
    return dataclasses.replace(candidate, train=dataclasses.replace(train, phases=(*train.phases[:-1], last)))
