"""The Python door: the same main job as the command line."""

from __future__ import annotations

import dataclasses
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from headstart import storage
from headstart.errors import UsageError, did_you_mean
from headstart.evaluation.summary import Summary
from headstart.progress import SILENT, Progress
from headstart.recipe import Candidate, Head, Optimizer, Protocol, Recipe, Schedule, Training, check
from headstart.recipe.reader import Draft, read
from headstart.study.layers import CandidateLayers, candidate_layers
from headstart.study.networks import network_problems, resolved
from headstart.study.plan import Plan, make_plan
from headstart.study.settings import Settings, recipe_from

__all__ = ["CandidateLayers", "Result", "Settings", "compare", "demo", "describe", "read_recipe", "run"]


SIGMOID = (
    "A sigmoid output is meant for images that may belong to several classes. Here each has one: the sigmoids are "
    "divided by their sum, and a softmax output would serve better."
)


@dataclass(frozen=True, slots=True)
class Result:
    """A finished study: its summary and where its files are.

    ``classifier`` is the recommended candidate's or combination's. ``doubts`` lists labels that may be wrong.
    """

    summary: Summary
    folder: Path
    report: Path
    classifier: Path
    doubts: Path


def compare(
    data: str | Path,
    settings: Settings | None = None,
    *,
    out: str | Path | None = None,
    weights_dir: str | Path | None = None,
    fresh: bool = False,
    progress: Progress = SILENT,
) -> Result:
    """Compare CNNs on labelled images and keep the best as a classifier.

    Args:
        data: a folder with one folder per class; or the same under ``train``, ``validation`` and ``test``; or a CSV
            with ``path,label``; or a folder with MNIST IDX files.
        settings: what to compare and how; defaults as on the command line.
        out: the run folder; by default ``runs/<data>-<hash of data and settings>``.
        weights_dir: folder with pretrained weights; by default ``HEADSTART_WEIGHTS``, then Keras' own cache.
        fresh: forget what an earlier start of the same study has finished.
        progress: who is told how far the work is.

    Raises:
        HeadstartError: data, settings or weights cannot be used; the message says what to do.
    """
    from headstart.data.images import read_table

    began, settings = time.perf_counter(), settings or Settings()
    folder = Path(weights_dir) if weights_dir else None
    recipe = recipe_from(settings, weights_dir=folder)
    table = read_table(data, rules=recipe.data, progress=progress, cache=storage.cache_folder())
    plan = make_plan(table, recipe, weights_dir=folder, folds_asked=settings.folds is not None)
    return execute(plan, out=out, fresh=fresh, progress=progress, began=began)


def read_recipe(recipe: str | Path, overrides: Sequence[str] = (), *, only: Sequence[str] = ()) -> Recipe:
    """Return a built-in recipe by its name, or the recipe of a file, with ``key=value`` overrides.

    ``only`` names the candidates that are kept; without it all are.

    Raises:
        UsageError: everything that is wrong with it, also what only its networks can tell, one line per problem.
    """
    return _chosen(_sound_draft(recipe, overrides).recipe(), only)


def _sound_draft(recipe: str | Path, overrides: Sequence[str]) -> Draft:
    draft = read(recipe, overrides)
    candidates = resolved(draft.candidates)
    problems = [*draft.problems, *network_problems(draft.candidates)]
    # the catalogue's names and sizes show equals that the text hides; beside other problems they would be guesses
    problems = problems or list(check.twin_problems(candidates))
    if problems:
        raise UsageError("\n".join(dict.fromkeys(problems)))
    return dataclasses.replace(draft, candidates=candidates)


def _chosen(recipe: Recipe, only: Sequence[str]) -> Recipe:
    """Return a recipe with some of its candidates, and with what was published for them."""
    names = [one.id for one in recipe.candidates]
    if unknown := [name for name in only if name not in names]:
        hint = did_you_mean(unknown[0], names)
        raise UsageError(f"The recipe has no candidate {unknown[0]!r}.{hint} It has: {', '.join(names)}.")
    if not only:
        return recipe
    return dataclasses.replace(
        recipe,
        candidates=tuple(one for one in recipe.candidates if one.id in only),
        published=tuple(one for one in recipe.published if one.candidate in only),
    )


def describe(recipe: Recipe) -> tuple[CandidateLayers, ...]:
    """Return every candidate's layer table and numbers of weights. The recipe names its classes, so no data is needed.

    Raises:
        UsageError: the recipe names no classes.
    """
    if not recipe.classes:
        raise UsageError("The recipe names no classes, so its output layer has no size. Add classes = [...] to it.")
    return tuple(candidate_layers(candidate, len(recipe.classes)) for candidate in recipe.candidates)


def run(
    recipe: str | Path,
    *,
    data: str | Path,
    overrides: Sequence[str] = (),
    only: Sequence[str] = (),
    out: str | Path | None = None,
    weights_dir: str | Path | None = None,
    fresh: bool = False,
    progress: Progress = SILENT,
) -> Result:
    """Run a recipe on labelled images.

    Args:
        recipe: the name of a built-in recipe, or a TOML file.
        data: as for ``compare``.
        overrides: ``key=value`` texts that win over the recipe, such as ``train.epochs=5``.
        only: names of the candidates to run; without any, all of them run.
        out, weights_dir, fresh, progress: as for ``compare``.

    Raises:
        HeadstartError: recipe, data or weights cannot be used; the message says what to do.
    """
    from headstart.data.images import read_table

    began, draft = time.perf_counter(), _sound_draft(recipe, overrides)
    for note in draft.notes:
        progress.say(note)
    chosen = _chosen(draft.recipe(), only)
    folder = Path(weights_dir) if weights_dir else None
    table = read_table(data, rules=chosen.data, progress=progress, cache=storage.cache_folder())
    plan = make_plan(table, chosen, weights_dir=folder, folds_asked=draft.asks_for_folds)
    if chosen.classes and set(table.classes) != set(chosen.classes):
        progress.say(f"The recipe was written for the classes {', '.join(chosen.classes)}; these images show others.")
    return execute(plan, out=out, fresh=fresh, progress=progress, began=began)


def demo(*, out: str | Path | None = None, seed: int = 0, fresh: bool = False, progress: Progress = SILENT) -> Result:
    """Run the main job on scikit-learn's handwritten digits: a small CNN from scratch against a random MobileNet."""
    from headstart.data.samples import digits_table

    plan = make_plan(digits_table(), demo_recipe(seed), weights_dir=None, folds_asked=False)
    return execute(plan, out=out, fresh=fresh, progress=progress)


def demo_recipe(seed: int = 0) -> Recipe:
    """Return the recipe of ``demo``: two rates of the small network, two heads of the control, five folds."""
    small = [
        Candidate(
            "small_cnn",
            weights="random",
            image_size=8,
            train=Training(
                12,
                batch_size=64,
                optimizer=Optimizer("adam", rate),
                schedule=Schedule("cosine"),
                trainable="all",
                average=0.2,
            ),
        )
        for rate in (1e-2, 3e-3)
    ]
    control = Candidate("mobilenet", weights="random", image_size=32)
    heads = [
        replace(control, train=Training(30, optimizer=Optimizer("adam", 3e-3), schedule=Schedule("cosine"))),
        replace(control, head=Head(output="logistic")),
    ]
    return Recipe(candidates=(*small, *heads), protocol=Protocol(seed=seed))


def execute(
    plan: Plan, *, out: str | Path | None, fresh: bool, progress: Progress, began: float | None = None
) -> Result:
    """Run a plan in its folder, or go on where an earlier start of the same plan stopped.

    Args:
        began: when the command began, by ``time.perf_counter``; None: now.

    Raises:
        UsageError: the folder lies among the images.
        RunError: the folder holds something else, or another process works in it.
    """
    from headstart.report.page import write_report
    from headstart.runs.folder import RunFolder
    from headstart.study.study import run_study
    from headstart.study.workplace import open_workplace

    folder = RunFolder(Path(out) if out else plan.default_folder())
    _check_outside(folder.path, Path(plan.table.location))
    _say_what_was_found(plan, progress)
    with folder.claim(plan.study_id, fresh=fresh) as finished:
        if finished:
            progress.say(f"This study is already finished in {folder.path}. --fresh would run it again.")
        else:
            run_study(plan, open_workplace(folder, plan, progress, command=_command(), began=began))
        report = write_report(folder)
        return Result(folder.summary(), folder.path, report, folder.classifier, folder.doubts_file)


def _say_what_was_found(plan: Plan, progress: Progress) -> None:
    rows = plan.splits.rows
    aside = sum(row.status == "set_aside" for row in rows)
    progress.say(
        f"{len(rows) - aside:,} images of {len(plan.table.classes)} classes, {aside} set aside; "
        f"{len(plan.recipe.candidates)} candidates."
    )
    for sentence in (*plan.splits.notes, *plan.audit.warnings):
        progress.say(sentence)
    if any(one.head.output == "sigmoid" for one in plan.recipe.candidates):
        progress.say(SIGMOID)


def _check_outside(folder: Path, data: Path) -> None:
    """Refuse a run folder among the photographs, where its own pictures would count as data next time."""
    if data.is_dir() and folder.resolve().is_relative_to(data.resolve()):
        raise UsageError(f"The run folder {folder} would lie inside the images {data}. Choose an --out outside of it.")


def _command() -> str:
    """Return the command line to give again, or an empty text when Python called."""
    program = Path(sys.argv[0]).stem
    return shlex.join(["headstart", *sys.argv[1:]]) if program in ("headstart", "cli") else ""
