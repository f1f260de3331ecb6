"""Bundles of command-line options, shared by commands."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def _numbers(kind: type[float] | type[int], example: str) -> Callable[..., tuple[float, ...]]:
    """Return a callback that reads comma-separated numbers."""

    def read(context: click.Context, parameter: click.Parameter, value: str) -> tuple[float, ...]:
        try:
            return tuple(kind(part) for part in value.split(",") if value)
        except ValueError:
            text = f"must be numbers with commas between, such as {example}. Received: {value!r}."
            raise click.BadParameter(text, context, parameter) from None

    return read


def _seconds(context: click.Context, parameter: click.Parameter, value: str) -> float:
    """Read a length of time, such as 90s, 10m or 1.5h; nothing is 0."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?)\s*([smh])", value.strip())
    if value and not match:
        text = f"must be a time, such as 90s, 10m or 1.5h. Received: {value!r}."
        raise click.BadParameter(text, context, parameter)
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]] if match else 0.0


def _names(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    """Read comma-separated names."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


def talk(command: Command) -> Command:
    """Add --quiet and --debug, which every command has."""
    debug = click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
    return click.option("--quiet", is_flag=True, help="Show no progress and no talk.")(debug(command))


weights_dir = click.option(
    "--weights-dir",
    type=click.Path(path_type=Path),
    help="Folder with <backbone>.weights.h5 files.  [default: $HEADSTART_WEIGHTS]",
)

data = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="The images: a folder with one folder per class, or what else `headstart compare` takes.",
)

overrides = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting that wins over the recipe, such as train.epochs=5, protocol.kind=holdout or data.limit=1000; "
    "may be given often.",
)

only = click.option(
    "--only",
    callback=_names,
    default="",
    metavar="NAMES",
    help="Run only these of the recipe's candidates, commas between.  [default: all]",
)

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")


def run_folder(command: Command) -> Command:
    """Add --out, --fresh and --json."""
    fresh = click.option("--fresh", is_flag=True, help="Start again; forget what an earlier start has finished.")
    out = click.option("--out", type=click.Path(path_type=Path), help="Run folder.  [default: runs/<data>-<hash>]")
    return out(fresh(as_json(command)))


def predictions(command: Command) -> Command:
    """Add how ``predict`` answers: each option bears the name of a field of prediction_job.Choices."""
    path = click.Path(path_type=Path)
    for option in (
        click.option("--watch", type=path, metavar="DIR", help="Also answer for every new file in DIR, until Ctrl-C."),
        click.option("--sort-into", type=path, metavar="DIR", help="Copy images to DIR/<answer>/; never move them."),
        click.option("--parquet", type=path, metavar="FILE", help="Write a Parquet file with the columns of --csv."),
        click.option("--csv", "as_csv", is_flag=True, help="Print CSV with every class's probability."),
        as_json,
        click.option(
            "--top",
            type=click.IntRange(min=1),
            help="Classes to show per image; not with --csv or --parquet.  [default: 3; --json: all]",
        ),
    ):
        command = option(command)
    return command


def _number(flag: str, default: float, text: str) -> Callable[[Command], Command]:
    return click.option(flag, type=type(default), default=default, show_default=True, help=text)


def _many(flag: str, metavar: str, text: str) -> Callable[[Command], Command]:
    return click.option(flag, multiple=True, metavar=metavar, help=text)


def _word(flag: str, default: str, text: str) -> Callable[[Command], Command]:
    return click.option(flag, default=default, show_default=bool(default), help=text)


# The options of `compare` that are settings: each bears the name of a field of study.settings.Settings.
_SETTINGS: tuple[Callable[..., Any], ...] = (
    click.option(
        "--backbones",
        callback=_names,
        default="",
        help="Names from `headstart backbones`, commas between; NAME:random for random weights.  "
        "[default: every one whose weights are found, and small_cnn beside them]",
    ),
    click.option(
        "--learning-rates",
        callback=_numbers(float, "1e-2,1e-3"),
        default="",
        help="Also heads that are trained in epochs, one at each rate.  [default: only logistic regression]",
    ),
    click.option(
        "--folds",
        type=int,
        help="Folds of the cross-validation.  [default: 5; 10 below 1,000 images where only heads train]",
    ),
    click.option("--holdout", type=float, help="Validate on this share of the training images instead of folds."),
    _number("--repeats", 1, "Repeat the cross-validation with other folds."),
    _number("--epochs", 20, "Epochs of every training."),
    _number("--batch-size", 32, "Images per step."),
    click.option(
        "--patience",
        type=int,
        default=0,
        help="Stop after so many epochs that are no better on a tenth of the training images, held back for it.  "
        "[default: never]",
    ),
    click.option(
        "--choose-by",
        "--monitor",
        "choose_by",
        default="accuracy",
        show_default=True,
        help="accuracy, balanced_accuracy, macro_f1, auc, loss, or cost (with --cost): what chooses the best.",
    ),
    _word(
        "--finals", "per_backbone", "best, per_backbone or all: who trains again on all training images and is tested."
    ),
    _word("--optimizer", "adam", "adam, adamw, sgd or rmsprop."),
    click.option("--momentum", type=float, default=0.0, help="Momentum of sgd and rmsprop.  [default: 0]"),
    click.option("--nesterov", is_flag=True, help="Nesterov momentum for sgd."),
    _word("--schedule", "cosine", "Of the learning rate: constant, steps, inverse_time or cosine."),
    _number("--schedule-factor", 0.1, "Factor of steps, or decay per step of inverse_time."),
    _number("--schedule-every", 5, "Epochs between steps."),
    click.option(
        "--dense",
        callback=_numbers(int, "256,64"),
        default="",
        help="Units of hidden layers, such as 256,64.  [default: none]",
    ),
    _word("--pooling", "average", "average, max or flatten: what leads from the feature map to the head."),
    _number("--dropout", 0.0, "Share dropped before the output and after every hidden layer."),
    _number("--l2", 0.0, "L2 penalty on the head's kernels."),
    click.option(
        "--logistic/--no-logistic",
        default=True,
        show_default=True,
        help="Logistic regression on every frozen backbone, its penalty chosen inside the training images.",
    ),
    click.option(
        "--finetune",
        is_flag=True,
        help="Also train the head for 5 epochs, then the end of every pretrained backbone for --epochs, with Adam.",
    ),
    _word(
        "--augment",
        "none",
        "Changed copies of training images: none, flip, views, or fresh (anew every epoch, where layers train).",
    ),
    _number("--label-smoothing", 0.0, "Share of the target that is spread over all classes."),
    _word("--class-weights", "none", "none or balanced: rare classes count more in training."),
    _number("--test-fraction", 0.2, "Share of every class that is sealed for the test."),
    click.option("--image-size", type=int, default=0, help="Side in pixels.  [default: the backbone's own]"),
    _word("--resize", "stretch", "stretch, crop or pad."),
    _word(
        "--group-by", "", "folder, exif-burst or a regular expression on the path: a group stays on one side of splits."
    ),
    click.option(
        "--class-names", type=click.Path(path_type=Path), help="CSV with label,name: what to call the classes."
    ),
    click.option(
        "--drop",
        type=click.Path(path_type=Path),
        help="Text file with one path per line: images to leave out; or a run's doubts.csv with your actions in it: "
        "drop, relabel or keep.",
    ),
    click.option("--limit", type=int, default=0, help="Learn from so many images at most.  [default: all]"),
    _number("--min-images-per-class", 0, "Leave out classes with fewer images to learn from."),
    click.option("--pool", is_flag=True, help="Ignore given splits: put all images together and cut anew."),
    click.option("--random-control", is_flag=True, help="Also run every pretrained backbone with random weights."),
    click.option("--nested", is_flag=True, help="Also judge the choice of the best, by nested cross-validation."),
    click.option("--learning-curve", is_flag=True, help="Also show what fewer images give and more would bring."),
    click.option(
        "--combine",
        is_flag=True,
        help="Also try networks that answer together and mirrored images; the best of these may be the classifier.",
    ),
    click.option(
        "--budget",
        callback=_seconds,
        default="",
        metavar="TIME",
        help="The whole command may take so long, such as 10m, 90s or 1.5h; fine-tuning takes part where it fits.  "
        "[default: no limit]",
    ),
    _number("--equivalence", 0.01, "Differences in accuracy below this do not matter to you."),
    click.option(
        "--unknown",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        help="Folder of images that belong to no class, to judge the answer 'unknown'.",
    ),
    _many("--target-precision", "CLASS=0.99", "Name this class only where it is right so often.  May be given often."),
    _many("--target-recall", "CLASS=0.95", "Find so much of this class.  May be given often."),
    _many("--cost", "TRUE:PREDICTED=5", "What this error costs; others cost 1.  May be given often."),
    _word("--precision", "f32", "f32 or bf16: arithmetic of the frozen backbones."),
    _number("--seed", 0, "Decides splits, initial weights and order."),
)


def settings(command: Command) -> Command:
    """Add every option of ``compare`` that is a setting."""
    for option in reversed(_SETTINGS):
        command = option(command)
    return command


_SERVING = (
    click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0: the network."),
    click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: any that is free."),
    _many("--allow-origin", "URL", "Origin of a page elsewhere that may ask, or '*'.  May be given often."),
    _number("--max-megabytes", 32.0, "Largest body of a request."),
    _number("--max-megapixels", 178.0, "Largest image; at most 178."),
    _number("--max-images", 100, "Most parts of a form."),
    _number("--max-queue", 512, "Most images that may wait, of all requests."),
    _number("--max-seconds", 30.0, "Longest time for a request to arrive (its headers: at most 10), and to answer it."),
)


def serving(command: Command) -> Command:
    """Add the options of ``serve``: where it listens, who may ask, and how much."""
    for option in reversed(_SERVING):
        command = option(command)
    return command
