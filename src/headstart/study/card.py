"""What a study knows of a classifier that people keep: the facts of its model card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from headstart.classifier.card import CardFacts, NetworkFacts
from headstart.evaluation.evidence import CleanTest, Combination, Evidence
from headstart.evaluation.headline import lowered, shift_of
from headstart.study.case import Case
from headstart.study.finish import judged_by
from headstart.study.judge import describe_cut
from headstart.study.networks import Network
from headstart.study.plan import Plan
from headstart.training.heads import describe


def classifier_facts(case: Case, evidence: Evidence) -> CardFacts:
    """Return what is known of the classifier that is kept."""
    final, result = case.final_of(case.kept), case.result_of(case.kept)
    candidate = final.judged.candidate
    return CardFacts(
        data=data_name(case.plan),
        images=_images(case.plan),
        training=_training(case),
        networks=(_network(final.judged.network),),
        head=describe(candidate.head, len(case.classes)),
        steps=f"{describe_cut(candidate).capitalize()}. {_epochs(final.epochs, candidate.head.output)}",
        choice=_choice(case),
        test=result.test,
        clean=case.clean_of(case.kept),
        validated=_validated(case, evidence),
        calibration=evidence.calibration,
        unknown=evidence.unknown,
        doubts=evidence.label_doubts,
    )


def combination_facts(
    case: Case, combination: Combination, networks: Sequence[Network], how: str, *, clean: CleanTest | None
) -> CardFacts:
    """Return what is known of a combination's classifier: calibration and the unknown were measured for none.

    Args:
        how: what answers, in words.
        clean: the combination on the test images that are not also training images; None where no image is shared.
    """
    return CardFacts(
        data=data_name(case.plan),
        images=_images(case.plan),
        training=_training(case),
        networks=tuple(map(_network, networks)),
        head=how,
        steps="",
        choice=(
            f"It was kept because combinations were asked for and it did better than {case.best} alone in "
            f"{judged_by(case.plan)} among the training images."
        ),
        test=combination.test,
        clean=clean,
        validated=f"{judged_by(case.plan).capitalize()} says {100 * (combination.cross_validated or 0):.1f} %.",
    )


def data_name(plan: Plan) -> str:
    """Return the name of the images' folder or table, without the place where it lies."""
    return Path(plan.table.location).resolve().name or plan.table.name


def _choice(case: Case) -> str:
    times = "once" if case.opened.openings == 1 else f"{case.opened.openings} times"
    return (
        f"It was chosen by {judged_by(case.plan)} among the training images. The test images were opened {times}, "
        "after the choice."
    )


def _validated(case: Case, evidence: Evidence) -> str:
    cv = next(one.cv for one in case.ranked if one.id == case.kept)
    assert cv is not None, "a finalist has finished its rounds"
    by = shift_of(case.protocol.score_epoch, evidence.optimism.selection if evidence.optimism else None)
    return f"{judged_by(case.plan).capitalize()} says {100 * lowered(cv.accuracy.mean, by):.1f} %."


def _epochs(epochs: int, output: str) -> str:
    if output == "logistic":
        return "It was not trained in epochs but solved."
    return f"It was trained for {epochs:,} {'epoch' if epochs == 1 else 'epochs'}."


def _images(plan: Plan) -> int:
    return sum(row.split != "excluded" for row in plan.splits.rows)


def _training(case: Case) -> tuple[int, ...]:
    counts = Counter(case.parts.labels[case.parts.train].tolist())
    return tuple(counts[label] for label in range(len(case.classes)))


def _network(network: Network) -> NetworkFacts:
    backbone = network.backbone
    if network.file is None:
        return NetworkFacts(backbone.name, backbone.title, "random weights at first", backbone.licence)
    return NetworkFacts(backbone.name, backbone.title, backbone.weights_source, network.file.licence)
