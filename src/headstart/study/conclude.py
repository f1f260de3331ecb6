"""The finalists: trained again on all training images, then shown the sealed test images, once and together."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from headstart import storage
from headstart.data.split import Round
from headstart.errors import StudyError
from headstart.evaluation.metrics import evaluate
from headstart.evaluation.results import CandidateResult, Evaluation, FinalResult
from headstart.recipe import Protocol
from headstart.runs.folder import PredictionBlock
from headstart.study.attempt import attempt
from headstart.study.judge import Judged, final_epochs_of, final_job
from headstart.study.learners import Learner
from headstart.study.parts import Parts, Rows
from headstart.study.workplace import Workplace
from headstart.training.heads import Fit, softmax

# A final training whose loss on its images is above so many times the worst fold's has gone astray, unless that loss
# is next to nothing; it is tried so many times in all.
LARGEST_RATIO, NEGLIGIBLE_LOSS, MOST_ATTEMPTS = 5.0, 0.01, 3


@dataclass(frozen=True, slots=True)
class Final:
    """A finalist after its final training."""

    judged: Judged
    epochs: int
    fit: Fit
    seconds: float
    attempts: int = 1

    @property
    def id(self) -> str:
        """The candidate's name."""
        return self.judged.candidate.id

    @property
    def loss_ratio(self) -> float | None:
        """The loss on the training images over that of the worst fold at its end; None of a head that is solved."""
        if self.judged.candidate.head.output == "logistic":
            return None
        worst = max(fit.best.train.loss for fit in self.judged.fits)
        loss = self.fit.best.train.loss
        return loss / worst if math.isfinite(loss) and worst > 0 else None

    @property
    def failed(self) -> bool:
        """Whether it learned its own images far worse than every fold learned theirs: the training went astray.

        A solved head is at its optimum, and its loss is that of the penalty it chose.
        """
        if self.judged.candidate.head.output == "logistic":
            return False
        loss, ratio = self.fit.best.train.loss, self.loss_ratio
        return not math.isfinite(loss) or (loss > NEGLIGIBLE_LOSS and (ratio is None or ratio > LARGEST_RATIO))


def train_finals(
    finalists: Sequence[CandidateResult], judged: Sequence[Judged], parts: Parts, protocol: Protocol, place: Workplace
) -> tuple[list[Final], dict[str, str]]:
    """Train every finalist on all training images, by the procedure of its rounds, and look whether it went well.

    Where the loss on the training images is above five times the worst fold's, the training is repeated from another
    seed, twice at most; the one with the lowest training loss is kept, and it is said.

    Returns:
        The finalists that could be trained, in order, and the reason of every other one by its id.

    Raises:
        StudyError: none could be trained.
    """
    by_id = {one.candidate.id: one for one in judged}
    finals: list[Final] = []
    failures: dict[str, str] = {}
    for learner, mine in _by_learner(
        [(by_id[one.id], final_epochs_of(by_id[one.id], one, protocol)) for one in finalists]
    ):
        reason, trained = attempt(partial(_train_checked, learner, mine, parts.train, protocol, place))
        if trained is None:
            failures |= {one.candidate.id: f"The final training failed: {reason}" for one, _ in mine}
            continue
        finals += trained
    if not finals:
        raise StudyError(f"Every finalist failed. The first: {next(iter(failures.values()))}")
    order = [result.id for result in finalists]
    return sorted(finals, key=lambda final: order.index(final.id)), failures


def _train_checked(
    learner: Learner, mine: Sequence[tuple[Judged, int]], train: Rows, protocol: Protocol, place: Workplace
) -> list[Final]:
    """Train finalists of one learner together; those that went astray again, each attempt from another seed."""
    kept: dict[str, Final] = {}
    for number in range(MOST_ATTEMPTS):
        wanted = [(one, epochs) for one, epochs in mine if number == 0 or kept[one.candidate.id].failed]
        if not wanted:
            break
        jobs = [final_job(one.candidate, train, epochs, protocol, attempt=number) for one, epochs in wanted]
        train_all = partial(learner.train, "finals", jobs, place.jobs, place.progress)
        reason, trained = attempt(train_all) if kept else (None, train_all())
        if trained is None:
            place.progress.say(f"A final training could not be repeated, and the one before is kept: {reason}")
            break
        for (one, epochs), result in zip(wanted, trained, strict=True):
            before = kept.get(one.candidate.id)
            final = Final(one, epochs, result.fits[0], result.seconds, number + 1)
            if before is not None:
                better = _loss(final) < _loss(before)
                seconds = before.seconds + final.seconds
                final = dataclasses.replace(final if better else before, seconds=seconds, attempts=number + 1)
            kept[final.id] = final
            if final.failed:
                _say_astray(final, number, place)
    return list(kept.values())


def _loss(final: Final) -> float:
    loss = final.fit.best.train.loss
    return loss if math.isfinite(loss) else math.inf


def _say_astray(final: Final, number: int, place: Workplace) -> None:
    times = "not a number" if final.loss_ratio is None else f"{final.loss_ratio:.0f} times the worst fold's"
    what = "it is repeated from another seed" if number + 1 < MOST_ATTEMPTS else "the best of three trainings is kept"
    place.progress.say(f"The final training of {final.id} went astray: its training loss is {times}; {what}.")


def _by_learner(chosen: Sequence[tuple[Judged, int]]) -> list[tuple[Learner, list[tuple[Judged, int]]]]:
    """Group finalists, each with its epochs, by who trains them."""
    groups: dict[int, tuple[Learner, list[tuple[Judged, int]]]] = {}
    for one, epochs in chosen:
        assert one.learner is not None, "a finalist has finished its rounds"
        groups.setdefault(id(one.learner), (one.learner, []))[1].append((one, epochs))
    return list(groups.values())


def final_predictions(final: Final, part: str, positions: Rows, parts: Parts) -> PredictionBlock:
    """Return what a finalist says of the images at the given positions."""
    learner = final.judged.learner
    assert learner is not None, "a finalist has finished its rounds"
    logits = learner.logits(final.judged.candidate, final.fit, positions)
    return _block(final.id, part, None, positions=positions, logits=logits, parts=parts)


def fold_predictions(judged: Judged, parts: Parts) -> list[PredictionBlock]:
    """Return what a candidate said of each round's validation images, where the round is scored."""
    return [
        _block(
            judged.candidate.id,
            "out_of_fold",
            one,
            positions=one.validation,
            logits=fit.validation_logits,
            parts=parts,
        )
        for one, fit in zip(parts.rounds, judged.fits, strict=True)
        if fit.validation_logits is not None
    ]


def _block(
    candidate: str, part: str, turn: Round | None, *, positions: Rows, logits: NDArray[np.float32], parts: Parts
) -> PredictionBlock:
    return PredictionBlock(
        candidate=candidate,
        part=part,
        repeat=turn.repeat if turn else None,
        fold=turn.fold if turn else None,
        paths=parts.paths(positions),
        labels=parts.labels[positions],
        probabilities=softmax(logits.astype(np.float64)),
        logits=logits,
    )


@dataclass(frozen=True, slots=True)
class Opened:
    """The finalists' predictions of every part, and their results."""

    results: tuple[FinalResult, ...]
    blocks: tuple[PredictionBlock, ...]
    openings: int

    def test_of(self, candidate: str) -> PredictionBlock:
        """Return what a finalist says of the test images."""
        return next(block for block in self.blocks if (block.candidate, block.part) == (candidate, "test"))


def open_test(finals: Sequence[Final], parts: Parts, classes: Sequence[str], place: Workplace) -> Opened:
    """Open the test set for all finalists together. The opening is logged; going on after a kill is no second one."""
    openings = place.jobs.count_opening([final.id for final in finals])
    place.folder.log("test set opened", finalists=[final.id for final in finals], opening=openings)
    results, blocks = [], []
    for final in finals:
        train = final_predictions(final, "train", parts.train, parts)
        test = final_predictions(final, "test", parts.test, parts)
        validation = final_predictions(final, "validation", parts.validation, parts) if len(parts.validation) else None
        results.append(
            FinalResult(
                candidate=final.id,
                epochs=final.epochs,
                train=_evaluation(train, classes),
                validation=_evaluation(validation, classes, drawn=True) if validation else None,
                test=_evaluation(test, classes, drawn=True),
                attempts=final.attempts,
                loss_ratio=final.loss_ratio,
            )
        )
        blocks += [block for block in (train, validation, test) if block is not None]
    return Opened(tuple(results), tuple(blocks), openings)


def _evaluation(block: PredictionBlock, classes: Sequence[str], *, drawn: bool = False) -> Evaluation:
    """Evaluate a block; its intervals are about this one classifier on images like these.

    ``drawn``: with the intervals that are drawn, for images that had no say in the training. All finalists share the
    draws, which follow from the part alone.
    """
    seed = storage.seed_from("intervals", block.part) if drawn else None
    return evaluate(block.labels, block.probabilities, classes, seed=seed)
