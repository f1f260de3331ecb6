"""The command line: thin commands over ``headstart.api``. Heavy imports happen inside the commands that need them."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from headstart import options
from headstart.errors import HeadstartError, MissingExtraError, UsageError, visible
from headstart.version import __version__

if TYPE_CHECKING:
    from headstart.api import Result
    from headstart.backbones.catalog import Backbone
    from headstart.progress import Progress

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


@click.group(context_settings=CONTEXT)
@click.version_option(__version__, prog_name="headstart")
def app() -> None:
    """Find out which CNN classifies your images best, with the evidence, and get the classifier.

    \b
    headstart demo                                    see it work, no data needed
    headstart audit photos                            what is wrong with the images, before any training
    headstart compare photos                          one folder per class; compares every CNN it has weights for
    headstart predict runs/photos-1a2b3c/classifier new.jpg
    headstart runs                                    what was run so far, newest first
    headstart report runs/one runs/two                several runs side by side
    """


@app.command()
@click.option("--seed", default=0, show_default=True, help="Decides splits, initial weights and order.")
@options.run_folder
@options.talk
def demo(seed: int, out: Path | None, fresh: bool, as_json: bool, quiet: bool) -> None:
    """Run the whole of headstart on embedded handwritten digits: no network, no weights, under two minutes.

    Example: headstart demo --out runs/demo
    """
    from headstart import api

    progress = _progress(quiet or as_json)
    result = api.demo(out=out, seed=seed, fresh=fresh, progress=progress)
    _show_result(result, as_json=as_json, quiet=quiet)


@app.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--class-names", type=click.Path(path_type=Path), help="CSV with label,name: what to call the classes.")
@options.as_json
@options.talk
def audit(data: Path, class_names: Path | None, as_json: bool, quiet: bool) -> None:
    """Look at every image in DATA and say what should be known before a number is believed. Changes nothing.

    \b
    Counts and sizes; files that cannot be read, and why; names that promise another format; images turned by EXIF;
    equal and nearly equal images, under two labels, and in two of the given splits; blank, very dark, blurred ones.

    \b
    With --json, what every study keeps as audit.json:
    {"set_aside": [{"path", "reason"}], "exact_duplicates": [[path, ..], ..], "near_duplicates", "label_conflicts",
     "leaks": [{"kind", "paths", "splits"}], "counts": {split: {class: n}}, "warnings": [..],
     "wrong_extensions": [{"path", "format"}], "rotated": [path, ..], "colour_modes": {mode: n},
     "sizes": {"width", "height", "shapes", "small", "elongated"}, "dark", "blank", "blurred", ..}

    Example: headstart audit photos
    """
    from headstart import storage, terminal
    from headstart.data.audit import audit as audit_table
    from headstart.data.images import read_table
    from headstart.recipe import DataRules
    from headstart.recipe.lists import read_class_names

    rules = DataRules(class_names=read_class_names(class_names) if class_names else {})
    progress = _progress(quiet or as_json)
    table = read_table(data, rules=rules, progress=progress, cache=storage.cache_folder(), strict=False)
    found = audit_table(table)
    if as_json:
        click.echo(storage.json_text(found))
    else:
        terminal.print_audit(found)


@app.command()
@click.argument("data", type=click.Path(path_type=Path))
@options.settings
@options.weights_dir
@options.run_folder
@options.talk
def compare(
    data: Path,
    weights_dir: Path | None,
    out: Path | None,
    fresh: bool,
    as_json: bool,
    quiet: bool,
    **settings: Any,
) -> None:
    """Compare CNNs on the images in DATA and keep the best as a classifier.

    DATA is a folder with one folder per class; or the same under train/, validation/ (val/) and test/; or a CSV with
    the columns path,label and optionally split,group; or a folder with MNIST IDX files.

    Example: headstart compare photos --backbones mobilenet,resnet50 --learning-rates 1e-2,1e-3
    """
    from headstart import api

    progress = _progress(quiet or as_json)
    if not settings["backbones"] and not quiet and not as_json:
        _offer_weights(weights_dir)
    result = api.compare(
        data, api.Settings(**settings), weights_dir=weights_dir, out=out, fresh=fresh, progress=progress
    )
    _show_result(result, as_json=as_json, quiet=quiet)


@app.command()
@click.argument("recipe")
@options.data
@options.overrides
@options.only
@options.weights_dir
@options.run_folder
@options.talk
def run(
    recipe: str,
    data: Path | None,
    overrides: tuple[str, ...],
    only: tuple[str, ...],
    weights_dir: Path | None,
    out: Path | None,
    fresh: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run a RECIPE on your images: the name of a built-in one (see `headstart recipes`), or a TOML file.

    Numbers that were published with the recipe are shown beside those found here.

    Example: headstart run flowers-mobilenet-v2 --data flower_photos --set train.epochs=5
    """
    from headstart import api

    if data is None:
        api.read_recipe(recipe, overrides, only=only)
        raise UsageError(f"The recipe {recipe} needs images. Name their folder: --data DATA.")
    result = api.run(
        recipe,
        data=data,
        overrides=overrides,
        only=only,
        weights_dir=weights_dir,
        out=out,
        fresh=fresh,
        progress=_progress(quiet or as_json),
    )
    _show_result(result, as_json=as_json, quiet=quiet)


@app.command()
@click.argument("name", required=False)
@options.as_json
@options.talk
def recipes(name: str | None, as_json: bool, quiet: bool) -> None:
    """List the built-in recipes, or print NAME: a built-in one, or a TOML file.

    \b
    With --json, the list is [{"name", "title", "source"}, ..], and a recipe is
    {"recipe":     every setting resolved, its grids as candidates,
     "candidates": [{"candidate",
                     "layers":     [{"name", "kind", "output_shape", "parameters", "trainable"}, ..],
                     "parameters": {"trainable", "non_trainable", "total", "per_phase"},
                     "phases":     [{"trainable", "non_trainable", "total"}, ..]}, ..]}

    Example: headstart recipes flowers-mobilenet-v2
    """
    if name:
        _show_recipe(name, as_json=as_json)
    else:
        _list_recipes(as_json=as_json)


@app.command()
@click.argument("classifier", type=click.Path(path_type=Path))
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))
@options.predictions
@options.talk
def predict(classifier: Path, paths: tuple[Path, ...], quiet: bool, **choices: Any) -> None:
    """Classify images with a CLASSIFIER, a folder or zip file.

    PATHS are files, folders (with all folders below them), patterns such as "photos/**/*.jpg", or - for a list on
    standard input, one path per line or with NUL between them.

    The answer is the most probable class, unless the study had targets or costs of errors, or the image looks like
    none of the classes: then it is "unknown". Probabilities are calibrated.

    An image that cannot be read, or a path that does not exist, gets its reason in its row; the exit status is then 1.
    After several images a line on stderr counts the answers, unless --quiet or --json is given.

    \b
    --json     [{"path", "answer", "ranked": [{"class", "probability"}, ..], "unknown_score", "error"}, ..]
    --csv      path,predicted,probability,answer,unknown_score,error,p:<class>,..
    --watch    with --json one object per line; Ctrl-C ends it, with exit status 0

    \b
    headstart predict runs/photos-1a2b3c/classifier new.jpg holiday/ --top 1
    find . -name "*.jpg" -print0 | headstart predict runs/photos-1a2b3c/classifier - --csv > answers.csv
    headstart predict runs/photos-1a2b3c/classifier --watch inbox --sort-into sorted

    Example: headstart predict runs/photos-1a2b3c/classifier new.jpg holiday/ --top 1
    """
    _compute_in_workers()
    from headstart import prediction_job

    if prediction_job.run(classifier, paths, prediction_job.Choices(**choices, quiet=quiet)):
        sys.exit(1)


@app.command()
@click.argument("classifier", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--other-classes",
    default="stop",
    show_default=True,
    metavar="WORD",
    help="What to do with classes of DATA that the classifier does not have: stop; skip: leave them out; "
    "unknown: see how many of their images it refuses.",
)
@click.option("--class-names", type=click.Path(path_type=Path), help="CSV with label,name: what to call the classes.")
@click.option("--report", type=click.Path(path_type=Path), help="Also write a page with all of it to this HTML file.")
@options.as_json
@options.talk
def evaluate(
    classifier: Path,
    data: Path,
    other_classes: str,
    class_names: Path | None,
    report: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Judge a CLASSIFIER, a folder or zip file, by the labelled images in DATA, which are named as for `compare`.

    Probabilities are calibrated. Where DATA has a test split, that alone is used. Images that cannot be read are set
    aside and named. Images that the classifier learned from flatter it: it is said how many of these files they are,
    and the figures without them come first.

    \b
    With --json:
    {"schema_version", "classifier", "study", "data", "classes", "temperature", "images",
     "set_aside": [{"path", "reason"}], "left_out": {class: n}, "notes": [..],
     "test": as in summary.json, "calibration": {"error", "brier", "loss", "bins"},
     "answers": {"right": {"count", "images", "share", "ci95"}, "refused", "right_of_answered", "cost",
                 "classes": [{"class", "kind", "threshold", "precision", "recall"}]},
     "unknown": {"classes": {class: n}, "refused": {..}, "auroc"} or null,
     "learned": {"images", "test", "calibration", "answers"} or null: images learned from; the rest without them}

    Example: headstart evaluate runs/photos-1a2b3c/classifier new_photos --report evaluation.html
    """
    _compute_in_workers()
    from headstart import storage, terminal
    from headstart.classifier import predict as predicting
    from headstart.classifier.assessment import assess
    from headstart.recipe import DataRules
    from headstart.recipe.lists import read_class_names

    if report:
        # said before any work
        from headstart.report import several

        _need("study", "jinja2")
        several.check_place(report)
    rules = DataRules(class_names=read_class_names(class_names) if class_names else {})
    model = predicting.load(classifier)
    found = assess(model, data, others=other_classes, rules=rules, progress=_progress(quiet or as_json))
    if as_json:
        click.echo(storage.json_text(found))
    else:
        terminal.print_assessment(found)
    if report:
        from headstart.report import assessment

        assessment.write_page(found, report)
        click.echo(report, err=as_json)


@app.command()
@click.argument("classifier", type=click.Path(path_type=Path))
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The PNG to write.")
@click.option("--class", "class_", metavar="NAME", help="The class to explain.  [default: the answer]")
@click.option("--method", default="both", show_default=True, help="grad-cam, occlusion or both.")
@options.as_json
@options.talk
def explain(
    classifier: Path, image: Path, out: Path, class_: str | None, method: str, as_json: bool, quiet: bool
) -> None:
    """Show where a CLASSIFIER looked in an IMAGE: the photograph, and beside it the same with heat on it.

    Grad-CAM asks the network itself; occlusion covers part after part of the image and sees what the class loses. Two
    maps that agree are worth more than one.

    With --json: {"image", "answer", "probability", "class" (the one explained), "class_probability", "method",
    "looks": [{"method", "rows", "columns", "where", "largest_drop"}, ..], "agreement", "out"}.

    Example: headstart explain runs/photos-1a2b3c/classifier new.jpg --out heat.png
    """
    from headstart import storage
    from headstart.classifier import explanation

    progress = _progress(quiet or as_json)
    found = explanation.explain(classifier, image, out, class_=class_, method=method, progress=progress)
    words = "\n".join(map(visible, explanation.in_words(found).splitlines()))
    click.echo(storage.json_text(found) if as_json else out if quiet else words)


@app.command()
@click.argument("folder", default=Path("runs"), type=click.Path(path_type=Path))
@options.as_json
@options.talk
def runs(folder: Path, as_json: bool, quiet: bool) -> None:
    """List the runs below FOLDER, newest first, with what each found. Without FOLDER, those below runs.

    \b
    With --json:
    [{"name", "folder", "title", "state": "done"|"not finished"|"damaged", "reason", "finished": UTC time,
      "images", "classes", "candidates", "failed", "best", "recommended",
      "validation": {"accuracy", "ci95": [low, high]}, "test": {"accuracy", "ci95"}, "seconds",
      "test_images", "contaminated": of these, how many are also training images}, ..]

    Example: headstart runs runs --json
    """
    from headstart import storage, terminal
    from headstart.runs.history import find_runs

    default = click.get_current_context().get_parameter_source("folder") is ParameterSource.DEFAULT
    found = () if default and not folder.exists() else find_runs(folder)
    if as_json:
        click.echo(storage.json_text(found))
    elif found:
        terminal.print_runs(found)
    else:
        click.echo(f"There is no run in {folder} or below it. `headstart compare DATA` makes one.", err=True)


@app.command()
@click.argument("classifier", type=click.Path(path_type=Path))
@click.option(
    "--to", required=True, metavar="FORMAT", help="onnx, openvino, keras, litert (TensorFlow Lite), or zip (one file)."
)
@click.option(
    "--int8", is_flag=True, help="Compute in 8 bits: smaller and faster. Needs --data, 50 images; onnx, openvino."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Images to check it on as well, and for --int8: DATA as in `headstart compare`, or a folder of images.",
)
@click.option("--out", type=click.Path(path_type=Path), help="File or folder.  [default: beside CLASSIFIER]")
@click.option("--force", is_flag=True, help="Replace a file that is no earlier export.")
@options.as_json
@options.talk
def export(
    classifier: Path,
    to: str,
    int8: bool,
    data: Path | None,
    out: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write a CLASSIFIER in another format, and check that it says the same.

    The file is run by the program it is meant for, on generated pictures and on --data. Where it does not give the same
    answers, and probabilities within 0.001, nothing is written. What was found stands in FILE.certificate.json.

    With --int8 it is judged by images of --data: at most 5 % of them may get another answer, accuracy may fall by 0.02,
    one image may always change, and probabilities may be 0.05 off in the mean, single ones more.

    Class names and preprocessing are inside; the probabilities that come out are calibrated. ONNX takes images of any
    size; the others of one size, which is said. Needs pip install 'headstart[cpu,export]'; zip needs nothing.

    Example: headstart export runs/photos-1a2b3c/classifier --to onnx --data photos
    """
    from headstart import storage
    from headstart.classifier import export as exporting

    progress = _progress(quiet or as_json)
    file = exporting.place(classifier, to, out=out, int8=int8)
    certificate = exporting.export(classifier, to, out=file, data=data, int8=int8, force=force, progress=progress)
    if as_json:
        click.echo(storage.json_text(certificate))
    elif quiet:
        click.echo(file)
    else:
        click.echo(f"{file}\n{certificate.words()}")


@app.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Where the page goes.  [default: report.html in the run; of several: comparison.html beside them where they "
    "lie in one folder, else in the current folder]",
)
@click.option("--pdf", type=click.Path(path_type=Path), help="Also print the page to this PDF, by Chromium.")
@click.option(
    "--figures", type=click.Path(path_type=Path), help="Also write every figure as SVG and PNG here, with its data."
)
@click.option("--open", "show", is_flag=True, help="Open the page in the browser.")
@options.talk
def report(
    runs: tuple[Path, ...], out: Path | None, pdf: Path | None, figures: Path | None, show: bool, quiet: bool
) -> None:
    """Write the report of a finished RUN again, or one page that puts several side by side; print where it is.

    Of several runs the page shows the results, the images and settings that differ, and, where the test images agree,
    whether chance can explain the differences.

    \b
    headstart report runs/photos-1a2b3c --figures figures --pdf report.pdf
    headstart report runs/photos-1a2b3c runs/photos-4d5e6f --out comparison.html

    Example: headstart report runs/photos-1a2b3c --open
    """
    from headstart.report import export as exporting
    from headstart.report import pdf as printing
    from headstart.runs.folder import RunFolder

    if figures and len(runs) > 1:
        raise click.UsageError("--figures takes one RUN: its files are of one study. Give one, or leave out --figures.")
    # said before any work
    if figures:
        exporting.check_place(figures)
    if pdf:
        printing.find_browser()
        printing.check_place(pdf)
    page = _write_page(runs, out)
    click.echo(page)
    if figures:
        exporting.write_figures(RunFolder(runs[0]), figures)
        click.echo(figures)
    if pdf:
        click.echo(printing.print_page(page, pdf))
    if show:
        click.launch(str(page))


def _write_page(folders: Sequence[Path], out: Path | None) -> Path:
    """Write the page of one run or of several, and return its path."""
    from headstart import storage
    from headstart.report import page, several
    from headstart.runs.folder import RunFolder

    if len(folders) > 1:
        return several.write_page(folders, out or several.default_page(folders))
    if out is None:
        return page.write_report(RunFolder(folders[0]))
    several.check_place(out)
    storage.write_text(out, page.render(RunFolder(folders[0])))
    return out


@app.command()
@click.argument("path", metavar="CLASSIFIER_OR_RUNS", type=click.Path(path_type=Path))
@options.serving
@options.talk
def serve(path: Path, host: str, port: int, allow_origin: tuple[str, ...], quiet: bool, **limits: Any) -> None:
    """Answer over HTTP for a CLASSIFIER folder or zip file, or show the RUNS in a folder; Ctrl-C ends it.

    A page to try is at /; programs send images to /predict, and /openapi.json describes the rest. The address is
    printed once it can be opened. Only this machine can ask unless --host says otherwise.

    Example: headstart serve runs/photos-1a2b3c/classifier --port 8000
    """
    _compute_in_workers()
    _need("serve", "starlette", "uvicorn", "python_multipart")
    from headstart.serve import server
    from headstart.serve.limits import access_for, from_options, is_loopback
    from headstart.serve.subject import read_subject

    allowed = from_options(**limits)
    subject = read_subject(path, allowed, access_for(host, origins=allow_origin))
    listener = server.listen(host, port)
    say = _progress(quiet).say
    say(f"Serving {subject.description}. Ctrl-C ends it.")
    if not is_loopback(host):
        say(f"Anybody who can reach this machine over the network can ask: --host {host}.")
    address = server.address_of(listener, host)
    server.run(subject.app, listener, allowed, announce=lambda: click.echo(address))


@app.command()
@click.argument("name", required=False)
@options.as_json
@options.weights_dir
@options.talk
def backbones(name: str | None, as_json: bool, weights_dir: Path | None, quiet: bool) -> None:
    """List the CNNs of the catalogue, or show NAME in full.

    Example: headstart backbones mobilenet
    """
    from headstart import storage
    from headstart.backbones import catalog, weights

    chosen = [catalog.find(name)] if name else list(catalog.CATALOG.values())
    states = {row.backbone: row.state for row in weights.status(weights_dir=weights_dir)}
    rows = [BackboneRow(row, states.get(row.name, "none published")) for row in chosen]
    if as_json:
        click.echo(storage.json_text(rows[0] if name else rows))
    elif name:
        _print_backbone(rows[0])
    else:
        _print_backbones(rows)


@app.group(name="weights")
def weights_group() -> None:
    """List, fetch or verify pretrained weights."""


@weights_group.command("list")
@options.weights_dir
@options.talk
def weights_list(weights_dir: Path | None, quiet: bool) -> None:
    """Say for every backbone where its weights are, or how to get them.

    Example: headstart weights list --weights-dir weights
    """
    _print_weights(weights_dir)


@weights_group.command("verify")
@options.weights_dir
@options.talk
def weights_verify(weights_dir: Path | None, quiet: bool) -> None:
    """Check every weights file that is found against its published checksum; exit status 1 when one is damaged.

    Example: headstart weights verify --weights-dir weights
    """
    if not _print_weights(weights_dir):
        sys.exit(1)


@weights_group.command("fetch")
@click.argument("names", nargs=-1, required=True)
@options.weights_dir
@options.talk
def weights_fetch(names: tuple[str, ...], weights_dir: Path | None, quiet: bool) -> None:
    """Download the official weights of NAMES into Keras' own cache, and into the weights folder where one is named.

    Example: headstart weights fetch mobilenet resnet50
    """
    from headstart.backbones import catalog, weights

    for name in names:
        click.echo(weights.fetch(catalog.find(name), weights_dir=weights_dir).path)


@app.group()
def cache() -> None:
    """Look at the cache of computed features, or clear it."""


@cache.command("info")
@options.as_json
@options.talk
def cache_info(as_json: bool, quiet: bool) -> None:
    """Show what the cache holds, where it is and how large it may grow.

    Example: headstart cache info
    """
    from headstart import storage
    from headstart.features.cache import FeatureCache

    store = FeatureCache(storage.cache_folder())
    infos = store.info()
    if as_json:
        click.echo(storage.json_text({"folder": store.folder, "limit_bytes": store.limit_bytes, "spaces": infos}))
        return
    from headstart import terminal

    rows = [[info.description, f"{info.features:,}", f"{info.size_bytes / 1e6:,.1f} MB"] for info in infos]
    terminal.print_table(["features of", "images", "size"], rows)
    total = sum(info.size_bytes for info in infos)
    click.echo(f"{total / 1e6:,.1f} MB of at most {store.limit_bytes / 1e6:,.0f} MB in {store.folder}")


@cache.command("clear")
@options.talk
def cache_clear(quiet: bool) -> None:
    """Remove every cached feature. Run folders and photographs are not touched.

    Example: headstart cache clear
    """
    from headstart import storage
    from headstart.features.cache import FeatureCache

    store = FeatureCache(storage.cache_folder())
    click.echo(f"{store.clear() / 1e6:,.1f} MB freed in {store.folder}")


@app.command()
@click.argument("classifier", type=click.Path(path_type=Path), required=False)
@options.as_json
@options.weights_dir
@options.talk
def doctor(classifier: Path | None, as_json: bool, weights_dir: Path | None, quiet: bool) -> None:
    """Check the installation: versions, engine, cores, cache, weights. Exit status 1 when something is missing.

    With CLASSIFIER, a folder or zip file, check that instead: its files, its graph, and that it still says of
    generated pictures what it said when it was saved.

    Example: headstart doctor runs/photos-1a2b3c/classifier
    """
    from headstart import storage
    from headstart.doctor import examine, examine_classifier

    checks = examine_classifier(classifier) if classifier else examine(weights_dir)
    if as_json:
        click.echo(storage.json_text(checks))
    else:
        for check in checks:
            click.echo(visible(f"{'ok ' if check.good else 'NO '} {check.name:<18}{check.finding}"))
    if not all(check.good for check in checks):
        sys.exit(1)


def _need(extra: str, *packages: str) -> None:
    """Raise MissingExtraError where a package of an extra is not installed."""
    from importlib.util import find_spec

    for package in packages:
        if find_spec(package) is None:
            raise MissingExtraError(package, extra)


def _compute_in_workers() -> None:
    """Let NumPy's matrix products run on the thread that asks for them.

    Every core has a worker already. Products on all cores at once make workers wait for each other: 64 images then cost
    the detector of unknown images 1.0 ms of CPU each instead of 0.23 (MobileNet, 2 cores, others at work).
    """
    if "numpy" not in sys.modules:
        for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
            os.environ.setdefault(name, "1")


def _progress(quiet: bool) -> Progress:
    from headstart.terminal import make_progress

    return make_progress(quiet=quiet)


def _at_terminal() -> bool:
    """Tell whether somebody reads questions and can answer them."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _offer_weights(weights_dir: Path | None) -> None:
    """Where no pretrained weights are found, ask whether to fetch some, if somebody is there to answer."""
    from headstart.backbones import catalog, weights

    if not _at_terminal() or weights.found(weights_dir=weights_dir):
        return
    rows = [catalog.find(name) for name in weights.FIRST]
    names, size = " and ".join(row.title for row in rows), sum(row.parameters for row in rows) * 4 / 1e6
    click.echo("No pretrained weights were found.", err=True)
    if click.confirm(f"Fetch {names} ({size:.0f} MB) now?", err=True):
        for row in rows:
            click.echo(weights.fetch(row, weights_dir=weights_dir).path, err=True)


def _show_result(result: Result, *, as_json: bool, quiet: bool) -> None:
    """Print the summary as JSON, or the story in a few lines on stdout."""
    from headstart import storage, terminal
    from headstart.runs.folder import RunFolder

    if as_json:
        click.echo(storage.json_text(result.summary))
    elif quiet:
        click.echo(result.folder)
    else:
        terminal.print_result(result.summary, RunFolder(result.folder).timings())
        terminal.print_places(result, [f"headstart predict {shlex.quote(str(result.classifier))} IMAGE..."])


@dataclass(frozen=True, slots=True)
class RecipeRow:
    """A built-in recipe in one line."""

    name: str
    title: str
    source: str


def _list_recipes(*, as_json: bool) -> None:
    """Print every built-in recipe with its title."""
    from headstart import storage, terminal
    from headstart.recipe import builtin, reader

    drafts = [(name, reader.read(name)) for name in builtin.names()]
    rows = [RecipeRow(name, draft.title, draft.source) for name, draft in drafts]
    if as_json:
        click.echo(storage.json_text(rows))
    else:
        terminal.print_table(["recipe", "title"], [[row.name, row.title] for row in rows])


def _show_recipe(name: str, *, as_json: bool) -> None:
    """Print a recipe as it is written, or all that it means."""
    from headstart.recipe import builtin

    if not as_json:
        click.echo(builtin.find(name).read_text(encoding="utf-8-sig"), nl=False)
        return
    from headstart import api, storage

    recipe = api.read_recipe(name)
    click.echo(storage.json_text({"recipe": recipe, "candidates": api.describe(recipe)}))


@dataclass(frozen=True, slots=True)
class BackboneRow:
    """A row of the catalogue and its pretrained weights: found, missing, damaged or none published."""

    backbone: Backbone
    weights: str


def _print_backbones(rows: Sequence[BackboneRow]) -> None:
    from headstart import terminal

    headings = ["name", "parameters", "layers", "input", "ImageNet top-1", "top-5", "size MB", "licence", "weights"]
    table = []
    for row in rows:
        one, published = row.backbone, row.backbone.published
        scores = [""] * 3
        if published:
            values = ((published.top_1, ".3f"), (published.top_5, ".3f"), (published.size_mb, "g"))
            scores = ["" if value is None else format(value, form) for value, form in values]
        counts = [f"{one.parameters:,}", str(one.layers), str(one.default_size)]
        table.append([one.name, *counts, *scores, one.licence, row.weights])
    terminal.print_table(headings, table)


def _print_backbone(row: BackboneRow) -> None:
    from headstart import storage

    plain = storage.to_plain(row.backbone)
    preprocessing, published = plain.pop("preprocessing"), plain.pop("published") or {}
    published = {f"published {key}": value for key, value in published.items()}
    for key, value in {**plain, **preprocessing, **published}.items():
        click.echo(f"{key.replace('_', ' '):<22}{value}")
    click.echo(f"{'weights':<22}{row.weights}")


def _print_weights(weights_dir: Path | None) -> bool:
    """Print where each backbone's weights are; return whether none is damaged."""
    from headstart import terminal
    from headstart.backbones import weights

    rows = weights.status(weights_dir=weights_dir)
    table = []
    for row in rows:
        place = str(row.file.path) if row.file else row.remedy
        checked = "" if row.file is None else "checksum agrees" if row.file.checked else "no checksum known"
        table.append([row.backbone, row.state, checked, place])
    terminal.print_table(["backbone", "weights", "", "where, or how to get them"], table)
    if any(row.state == "missing" for row in rows):
        click.echo(
            "\nOr put NAME.weights.h5 into the folder of --weights-dir, or use NAME:random, which needs no weights."
        )
    return all(row.state != "damaged" for row in rows)


def _show_error(line: str) -> None:
    click.echo(f"Error: {visible(line)}", err=True)


def main() -> None:
    """Run the command line; errors become one line each and an exit status."""
    debug = "--debug" in sys.argv[1:]
    try:
        app(standalone_mode=False)
    except click.exceptions.Exit as exit_request:
        sys.exit(exit_request.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted. The same command goes on from here.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except HeadstartError as error:
        if debug:
            raise
        for line in str(error).splitlines():
            _show_error(line)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        if debug:
            raise
        click.echo(f"Error: {MissingExtraError(error.name or 'a package', 'cpu')}", err=True)
        sys.exit(MissingExtraError.exit_code)
    except OSError as error:
        if debug:
            raise
        place = f" {error.filename}" if error.filename else ""
        _show_error(f"Cannot use{place}: {error.strerror or error}. Choose another place, or free some.")
        sys.exit(1)
    except Exception as error:
        if debug:
            raise
        first_line = str(error).partition("\n")[0]
        click.echo(f"Error: {type(error).__name__}: {first_line} (a fault in headstart; --debug shows where)", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
