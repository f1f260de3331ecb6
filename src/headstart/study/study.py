"""The main job, top to bottom: plan -> features -> train -> select -> final -> test -> classifier and report."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from headstart.errors import StudyError
from headstart.evaluation.ranking import best_first
from headstart.evaluation.summary import Summary
from headstart.runs.folder import HistoryRow
from headstart.study import records
from headstart.study.budget import Budget
from headstart.study.case import Case, ranked_finalists
from headstart.study.combined import save_recommended
from headstart.study.conclude import open_test, train_finals
from headstart.study.evidence import gather, with_unknown_folder
from headstart.study.finish import standing_of, summarise
from headstart.study.forecast import Forecast, duration, forecast
from headstart.study.handover import save_classifier
from headstart.study.image_map import Drawn, draw, write_image_map
from headstart.study.judge import Judged, candidate_result, finalists, judge, with_failure
from headstart.study.leaks import clean_tests, contaminated
from headstart.study.optimism import optimism as choice_optimism
from headstart.study.optimism import selection_of
from headstart.study.parts import Parts, make_parts
from headstart.study.pictures import pictures
from headstart.study.plan import Plan
from headstart.study.prepare import Preparation, Prepared
from headstart.study.verdict import Recommendation, recommend
from headstart.study.workplace import Workplace
from headstart.study.workshop import Workshop


def run_study(plan: Plan, place: Workplace) -> Summary:
    """Execute a plan in its run folder and return the summary.

    Units of work that an earlier, interrupted start has finished are found again.

    Raises:
        StudyError: every candidate failed.
    """
    # loaded before the limit, so that it holds for SciPy's library too
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_limits

    # sums over several threads differ in their last digit; what runs side by side keeps all cores busy
    with threadpool_limits(1, user_api="blas"):
        return _run(plan, place)


def _run(plan: Plan, place: Workplace) -> Summary:
    protocol, classes, watch = plan.recipe.protocol, plan.table.classes, place.stopwatch
    parts = make_parts(plan.splits, classes)
    records.write_inputs(plan, place)
    workshop = Workshop(place, precision=plan.recipe.precision, classes=len(classes))

    with watch.stage("forecast"):
        budget = protocol.budget
        expected = Forecast(budget, 0) if budget else forecast(plan, parts, workshop, place)
    place.progress.say(f"Budget: {duration(budget)}." if budget else expected.sentence)
    before = 0.0 if budget else watch.total

    preparation = Preparation(plan, parts, workshop, place)
    if budget:
        with watch.stage("training"):
            prepared, judged = Budget(plan, parts, workshop, place, preparation).run()
    else:
        with watch.stage("features"):
            prepared = preparation.ready(plan.networks)
        with watch.stage("training"):
            judged = judge(prepared, parts, protocol, place)
    case = _tested(plan, parts, preparation, judged, place)
    with ThreadPoolExecutor(1) as beside:
        return _told(case, prepared, expected, before, beside.submit(draw, case))


def _told(
    case: Case, prepared: Sequence[Prepared], expected: Forecast, before: float, drawing: Future[Drawn]
) -> Summary:
    """Find the evidence, save the classifier, and write all files of the run folder."""
    protocol, place = case.protocol, case.place
    watch = place.stopwatch
    epochs = list(records.history_rows(case.judged, case.finals, case.parts))
    with watch.stage("evidence"):
        flattery = choice_optimism(case)
        standing = standing_of(case, prepared, selection_of(flattery))
        recommendation = recommend(standing)
        case = dataclasses.replace(case, kept=recommendation.candidate)
        evidence, answering = gather(case, flattery, informative=standing.baseline.informative)
    with watch.stage("classifier"):
        evidence = dataclasses.replace(evidence, combinations=save_recommended(case, evidence.combinations))
        taken = [one for one in evidence.combinations if one.recommended]
        if taken:
            recommendation = Recommendation(taken[0].id, taken[0].sentence)
            if case.plan.unknown_images:
                place.progress.say(
                    "The classifier is a combination and never answers unknown: the images of --unknown are not used."
                )
        else:
            save_classifier(case, answering, evidence)
            evidence = with_unknown_folder(case, evidence, answering)
    summary = summarise(case, standing, recommendation, evidence, epochs)
    with watch.stage("records"):
        _write_records(case, epochs, drawing)
    what = "budget" if protocol.budget else "forecast"
    place.progress.say(f"That took {duration(watch.total - before)}; the {what} was {duration(expected.seconds)}.")
    place.folder.write_timings(records.timings(expected, prepared, case.judged, case.finals, case.parts, place))
    place.folder.write_summary(summary)
    return summary


def _tested(plan: Plan, parts: Parts, preparation: Preparation, judged: Sequence[Judged], place: Workplace) -> Case:
    """Choose the finalists, train them on all training images, and show them the test images, once and together."""
    protocol, classes, watch = plan.recipe.protocol, plan.table.classes, place.stopwatch
    results = [candidate_result(one, plan, parts) for one in judged]
    if not any(result.cv for result in results):
        raise StudyError(f"Every candidate failed. The first: {results[0].reason}")
    with watch.stage("final training"):
        chosen = finalists(best_first(results, protocol.choose_by), protocol.finals)
        finals, failures = train_finals(chosen, judged, parts, protocol, place)
    results = [with_failure(result, failures.get(result.id)) for result in results]
    with watch.stage("test"):
        opened = open_test(finals, parts, classes, place)
    ranked = ranked_finalists(results, finals, protocol.choose_by)
    return Case(
        plan=plan,
        parts=parts,
        preparation=preparation,
        judged=judged,
        results=results,
        finals=finals,
        opened=opened,
        ranked=ranked,
        place=place,
        clean=clean_tests([opened.test_of(one.id) for one in ranked], contaminated(plan, parts)),
    )


def _write_records(case: Case, epochs: Sequence[HistoryRow], drawing: Future[Drawn]) -> None:
    """Write what the report shows beside the summary."""
    folder = case.place.folder
    folder.write_pictures(pictures(case))
    folder.write_history(epochs)
    records.write_findings(case.judged, case.opened, case.parts, case.plan.table.classes, case.place)
    write_image_map(case, drawing)
