"""What people keep of a recommended combination: one classifier that holds all of its networks."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from headstart.classifier import bundle
from headstart.classifier.answering import Answering
from headstart.classifier.bundle import Provenance
from headstart.evaluation.calibration import FEWEST_TO_FIT, calibrated, fit_temperature
from headstart.evaluation.evidence import CleanTest, Combination
from headstart.evaluation.headline import figure_of
from headstart.features.combined_graph import Backbone, Member, average_graph, flip_graph, joined_graph
from headstart.study.asked import targets_and_costs
from headstart.study.attempt import attempt
from headstart.study.card import combination_facts
from headstart.study.case import Case
from headstart.study.combinations import (
    AVERAGE,
    FLIP,
    JOINED,
    RECOMMENDED,
    UNSAVED,
    Answers,
    answers_of,
    input_sizes,
)
from headstart.study.handover import Arrays, head_arrays, trained_backbone
from headstart.study.leaks import clean_test, contaminated
from headstart.study.networks import HEADS, Network
from headstart.study.operating import Scored, thresholds_for

if TYPE_CHECKING:
    import openvino as ov


def save_recommended(case: Case, found: Sequence[Combination]) -> tuple[Combination, ...]:
    """Write the recommended combination as the classifier of the run folder.

    A failure is said, and then the best candidate alone is what is kept.

    Returns:
        The combinations; none is recommended any more where it could not be saved.
    """
    best = next((one for one in found if one.recommended), None)
    if best is None:
        return tuple(found)
    reason, _ = attempt(lambda: save_combination(case, best))
    if reason is None:
        return tuple(found)
    case.place.progress.say(f"The recommended combination ({best.id}) could not be saved: {reason}")
    sentence = best.sentence.replace(RECOMMENDED, UNSAVED)
    unsaved = dataclasses.replace(best, recommended=False, sentence=sentence)
    return tuple(unsaved if one is best else one for one in found)


def save_combination(case: Case, combination: Combination) -> None:
    """Write a combination as the classifier of the run folder.

    Raises:
        ValueError: its networks see images of unlike sizes.
    """
    sizes = input_sizes(case, combination.members)
    if len(sizes) > 1:
        seen = ", ".join(f"{size.height} x {size.width} {size.label}" for size in sizes)
        raise ValueError(f"the networks of {combination.id} see images of unlike sizes: {seen}")
    answers = answers_of(case, combination.kind)
    assert answers is not None, "it was judged before"
    labels, leaked = case.parts.labels[case.parts.test], contaminated(case.plan, case.parts)
    clean = clean_test(combination.id, answers.test.argmax(axis=1) == labels, leaked)
    parts = _Parts(case)
    bundle.save(
        case.place.folder.classifier,
        _combined_graph(case, answers, parts),
        parts.weights,
        classes=case.classes,
        size=sizes[0],
        precision=case.plan.recipe.precision,
        provenance=_provenance(case, combination, clean),
        answering=_answering(case, answers),
        learned=case.parts.learned,
        facts=combination_facts(case, combination, _networks(case, combination), combination.said.card, clean=clean),
    )


@dataclass(frozen=True, slots=True)
class _Parts:
    """The backbones built so far, those of frozen networks by name, and every weight under a unique name."""

    case: Case
    weights: Arrays = field(default_factory=dict)
    backbones: dict[str, Backbone] = field(default_factory=dict)

    def backbone(self, candidate: str) -> Backbone:
        """Return a finalist's backbone as it was tested; heads of one frozen network share it."""
        final = self.case.final_of(candidate)
        network = final.judged.network
        name = network.name if network.learner == HEADS else candidate
        if name not in self.backbones:
            model, arrays = trained_backbone(final, any_size=False, place=self.case.place)
            self.weights.update({f"{name}/backbone/{path}": array for path, array in arrays.items()})
            self.backbones[name] = Backbone(model, network.size)
        return self.backbones[name]

    def member(self, candidate: str) -> Member:
        """Return a finalist."""
        final = self.case.final_of(candidate)
        self.weights.update(head_arrays(f"{candidate}/head", final.fit.weights))
        return Member(self.backbone(candidate), final.judged.candidate.head, final.fit.weights)


def _combined_graph(case: Case, answers: Answers, parts: _Parts) -> ov.Model:
    if answers.kind == AVERAGE:
        return average_graph([parts.member(name) for name in answers.members])
    if answers.kind == FLIP:
        member = parts.member(answers.members[0])
        return flip_graph([member.backbone], member.head, member.weights)
    assert answers.fit is not None, "a head was trained"
    parts.weights.update(head_arrays("joined/head", answers.fit.weights))
    head = case.judged_of(answers.members[0]).candidate.head
    together = joined_graph if answers.kind == JOINED else flip_graph
    return together([parts.backbone(name) for name in answers.members], head, answers.fit.weights)


def _answering(case: Case, answers: Answers) -> Answering:
    """Return the combination's own temperature and thresholds, from what it said out of fold.

    Nothing tells the unknown: that was measured for the best candidate alone.
    """
    rows = np.concatenate([one.validation for one in case.parts.rounds])
    unique, firsts = np.unique(rows, return_index=True)
    labels = case.parts.labels[unique]
    logits = np.log(np.maximum(np.concatenate(answers.rounds)[firsts], 1e-30))
    temperature = fit_temperature(logits, labels) if len(labels) >= FEWEST_TO_FIT else 1.0
    scores = calibrated(logits, temperature)
    targets, costs = targets_and_costs(case.protocol.decide, case.classes)
    return Answering(temperature, None, thresholds_for(targets, Scored(labels, scores), case.classes), costs)


def _networks(case: Case, combination: Combination) -> list[Network]:
    """Return the networks of a combination, each once."""
    return list({one.name: one for one in (case.judged_of(name).network for name in combination.members)}.values())


def _provenance(case: Case, combination: Combination, clean: CleanTest | None) -> Provenance:
    figure = figure_of(combination.test, clean)
    networks = _networks(case, combination)
    licences = [one.licence for one in networks]
    return Provenance(
        study=case.plan.study_id,
        fingerprint=case.plan.table.fingerprint,
        candidate=f"{combination.id}: {' + '.join(combination.members)}",
        backbone=" + ".join(one.backbone.name for one in networks),
        weights=" + ".join(one.weights_key for one in networks),
        licence=" + ".join(dict.fromkeys(licences)),
        training_images=len(case.parts.train),
        test_images=figure.images if figure else 0,
        test_accuracy=figure.accuracy if figure else math.nan,
    )
