"""The finalists: trained again on all training images, then shown the sealed test images, once and together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.evaluation.metrics import evaluate
from headstart.evaluation.results import CandidateResult, Evaluation, FinalResult
from headstart.runs.folder import PredictionBlock
from headstart.study.jobs import Trained
from headstart.study.judge import Judged, final_epochs, final_job
from headstart.study.parts import Parts, Rows
from headstart.study.workplace import Workplace
from headstart.training.heads import Fit, Job, softmax


@dataclass(frozen=True, slots=True)
class Final:
    """A finalist after its final training."""

    judged: Judged
    epochs: int
    fit: Fit
    seconds: float

    @property
    def id(self) -> str:
        """The candidate's name."""
        return self.judged.candidate.id


def train_finals(
    finalists: Sequence[CandidateResult], judged: Sequence[Judged], parts: Parts, seed: int, place: Workplace
) -> list[Final]:
    """Train every finalist on all training images for the rounded mean of its rounds' best epochs."""
    epochs = {result.id: final_epochs(result) for result in finalists}
    trained: dict[str, Trained] = {}
    chosen = [one for one in judged if one.candidate.id in epochs]
    for learner in {id(one.learner): one.learner for one in chosen}.values():
        assert learner is not None, "a finalist has finished its rounds"
        mine = [candidate for candidate in learner.network.candidates if candidate.id in epochs]
        jobs: list[Job] = [final_job(candidate, parts.train, epochs[candidate.id], seed) for candidate in mine]
        results = learner.train("finals", jobs, place.jobs, place.progress)
        trained |= {candidate.id: result for candidate, result in zip(mine, results, strict=True)}
    by_id = {one.candidate.id: one for one in chosen}
    return [
        Final(by_id[name], epochs[name], trained[name].fits[0], trained[name].seconds)
        for name in (result.id for result in finalists)
    ]


def final_predictions(final: Final, part: str, positions: Rows, parts: Parts) -> PredictionBlock:
    """Return what a finalist says of the images at the given positions."""
    learner = final.judged.learner
    assert learner is not None, "a finalist has finished its rounds"
    return _block(final.id, part, None, None, positions, learner.logits(final.fit, positions), parts)


def fold_predictions(judged: Judged, parts: Parts) -> list[PredictionBlock]:
    """Return what a candidate said of each round's validation images, at its best epoch there."""
    return [
        _block(judged.candidate.id, "out_of_fold", one.repeat, one.fold, one.validation, fit.validation_logits, parts)
        for one, fit in zip(parts.rounds, judged.fits, strict=True)
        if fit.validation_logits is not None
    ]


def _block(
    candidate: str,
    part: str,
    repeat: int | None,
    fold: int | None,
    positions: Rows,
    logits: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    parts: Parts,
) -> PredictionBlock:
    return PredictionBlock(
        candidate=candidate,
        part=part,
        repeat=repeat,
        fold=fold,
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
                validation=_evaluation(validation, classes) if validation else None,
                test=_evaluation(test, classes),
            )
        )
        blocks += [block for block in (train, validation, test) if block is not None]
    return Opened(tuple(results), tuple(blocks), openings)


def _evaluation(block: PredictionBlock, classes: Sequence[str]) -> Evaluation:
    return evaluate(block.labels, block.probabilities, classes)
