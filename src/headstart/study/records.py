"""From what a study found to the rows of its run folder."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Sequence

from headstart.backbones.engine import backend_name
from headstart.machine import core_count, memory_bytes, package_versions
from headstart.recipe.writer import to_toml
from headstart.runs.folder import (
    CandidateTiming,
    Environment,
    FeatureTiming,
    FoldRow,
    HistoryRow,
    ResultRow,
    Timings,
)
from headstart.study.conclude import Final, Opened, fold_predictions
from headstart.study.forecast import Forecast
from headstart.study.judge import Judged
from headstart.study.layers import layer_rows
from headstart.study.parts import Parts
from headstart.study.plan import Plan
from headstart.study.prepare import Prepared
from headstart.study.workplace import Workplace
from headstart.training.heads import EpochRow, Fit
from headstart.version import __version__

PACKAGES = ("keras", "tensorflow", "tensorflow-cpu", "jax", "torch", "openvino", "numpy", "scipy", "pillow")


def write_inputs(plan: Plan, place: Workplace) -> None:
    """Write what is known before the work: recipe, environment, images, folds, audit."""
    folder = place.folder
    folder.write_study(to_toml(plan.recipe))
    folder.write_environment(environment(place))
    folder.write_images(plan.splits.rows)
    folder.write_folds(
        FoldRow(one.repeat, one.fold, plan.splits.rows[index].path)
        for one in plan.splits.rounds
        for index in one.validation
    )
    folder.write_audit(plan.audit)
    folder.log("started", study=plan.study_id, headstart=__version__)


def environment(place: Workplace) -> Environment:
    """Return where this study runs."""
    return Environment(
        headstart=__version__,
        python=platform.python_version(),
        system=platform.platform(),
        processor=platform.processor() or platform.machine(),
        cores=core_count(),
        memory_bytes=memory_bytes(),
        backend=backend_name(),
        engine=place.engine.label,
        command=place.command,
        packages=package_versions(PACKAGES),
    )


def result_rows(judged: Sequence[Judged], parts: Parts) -> Iterator[ResultRow]:
    """Yield one row per candidate and round; one that failed or was left out has rows without numbers."""
    for one in judged:
        for place, turn in enumerate(parts.rounds):
            fit = one.fits[place] if one.fits else None
            unfit = "skipped" if one.skipped else "failed"
            yield _result_row(one.candidate.id, turn.repeat, turn.fold, fit, unfit)


def _result_row(candidate: str, repeat: int, fold: int, fit: Fit | None, unfit: str) -> ResultRow:
    if fit is None or fit.best.validation is None or fit.last.validation is None:
        return ResultRow(candidate, repeat, fold, unfit, *[None] * 8)
    return ResultRow(
        candidate=candidate,
        repeat=repeat,
        fold=fold,
        status="done",
        best_epoch=fit.best_epoch,
        epochs=len(fit.history),
        accuracy=fit.best.validation.accuracy,
        loss=fit.best.validation.loss,
        train_accuracy=fit.best.train.accuracy,
        train_loss=fit.best.train.loss,
        last_accuracy=fit.last.validation.accuracy,
        last_loss=fit.last.validation.loss,
    )


def history_rows(judged: Sequence[Judged], finals: Sequence[Final], parts: Parts) -> Iterator[HistoryRow]:
    """Yield one row per candidate, round or final training, and epoch."""
    for one in judged:
        for turn, fit in zip(parts.rounds, one.fits, strict=False):
            yield from _epochs(one.candidate.id, turn.repeat, turn.fold, fit.history)
    for final in finals:
        yield from _epochs(final.id, None, None, final.fit.history)


def _epochs(candidate: str, repeat: int | None, fold: int | None, history: Iterable[EpochRow]) -> Iterator[HistoryRow]:
    for row in history:
        train, validation = row.train, row.validation
        yield HistoryRow(
            candidate=candidate,
            repeat=repeat,
            fold=fold,
            phase=row.phase,
            epoch=row.epoch,
            learning_rate=row.learning_rate,
            loss=train.loss,
            accuracy=train.accuracy,
            precision=train.precision,
            recall=train.recall,
            top_k=train.top_k,
            val_loss=validation.loss if validation else None,
            val_accuracy=validation.accuracy if validation else None,
            val_precision=validation.precision if validation else None,
            val_recall=validation.recall if validation else None,
            val_top_k=validation.top_k if validation else None,
        )


def timings(
    expected: Forecast,
    prepared: Sequence[Prepared],
    judged: Sequence[Judged],
    finals: Sequence[Final],
    parts: Parts,
    place: Workplace,
) -> Timings:
    """Return what varies from run to run: seconds of every stage, network and candidate."""
    final_seconds = {final.id: final.seconds for final in finals}
    speed = {one.network.name: one.milliseconds_per_image for one in prepared}
    return Timings(
        forecast_seconds=expected.seconds,
        forecast_bytes=expected.size_bytes,
        total_seconds=place.stopwatch.total,
        stages=dict(place.stopwatch.stages),
        features={one.network.name: _feature_timing(one) for one in prepared if one.extraction},
        candidates={
            one.candidate.id: CandidateTiming(
                train_seconds=one.seconds + final_seconds.get(one.candidate.id, 0.0),
                milliseconds_per_image=speed.get(one.network.name),
                milliseconds_per_step=_milliseconds_per_step(one, parts),
            )
            for one in judged
        },
    )


def _milliseconds_per_step(judged: Judged, parts: Parts) -> float | None:
    """Return the mean time of a training step in the rounds, judging every epoch included."""
    if not judged.fits:
        return None
    copies, batch = 1 + len(judged.network.views), judged.candidate.train.batch_size
    steps = sum(
        len(fit.history) * -(-copies * len(turn.train) // batch)
        for turn, fit in zip(parts.rounds, judged.fits, strict=True)
    )
    return 1000 * judged.seconds / steps


def _feature_timing(prepared: Prepared) -> FeatureTiming:
    extraction = prepared.extraction
    assert extraction is not None
    computed = extraction.images - extraction.cached
    rate = computed / extraction.seconds if computed and extraction.seconds else None
    return FeatureTiming(computed, extraction.seconds, rate, extraction.cached)


def write_findings(
    judged: Sequence[Judged],
    opened: Opened,
    parts: Parts,
    classes: Sequence[str],
    place: Workplace,
) -> None:
    """Write every fold's values, every prediction, and what the candidates are made of."""
    place.folder.write_results(result_rows(judged, parts))
    place.folder.write_layers(layer_rows([one.candidate for one in judged], len(classes), place.cache))
    folds = [block for one in judged if one.fits for block in fold_predictions(one, parts)]
    place.folder.write_predictions([*folds, *opened.blocks], classes)
