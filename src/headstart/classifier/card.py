"""The model card of a classifier: README.md with the metadata that model hubs read, then plain words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from headstart.classifier.answering import unknown_word
from headstart.classifier.info import LEARNED_FILE, ClassifierInfo
from headstart.classifier.metadata import Value, block
from headstart.evaluation.evidence import Calibration, CleanTest, LabelDoubts, Unknown
from headstart.evaluation.headline import Figure, figure_of, shared_in_words
from headstart.evaluation.results import Evaluation

# The licences that model hubs know by an identifier; the catalogue has no others.
HUB_LICENCES = {"Apache-2.0": "apache-2.0", "MIT": "mit", "BSD-3-Clause": "bsd-3-clause"}
FEW_TEST_IMAGES = 30
FEW_TRAINING_IMAGES = 50
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|!~$&])")


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """One backbone: its name in the catalogue, its title, where its first weights come from, and their licence."""

    name: str
    title: str
    weights: str
    licence: str


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a study knows of a classifier beyond ``classifier.json``.

    Attributes:
        data: name of the folder or table of images, without its place.
        images: how many images took part.
        training: training images of every class, in the order of the classes.
        networks: the backbones, each once.
        head: the layers behind them, in words.
        steps: how it was trained, in words; may be empty.
        choice: why it is this one that was kept, and when the test images were opened, in whole sentences.
        test: how it does on the test images, by the most probable class.
        clean: the same on those that are not also training images; None where no image is shared.
        validated: its accuracy in validation, in words; said where every test image is also a training image.
        calibration, unknown, doubts: what was found out beside; None where it was not measured for this classifier.
    """

    data: str
    images: int
    training: tuple[int, ...]
    networks: tuple[NetworkFacts, ...]
    head: str
    steps: str
    choice: str
    test: Evaluation
    clean: CleanTest | None = None
    validated: str = ""
    calibration: Calibration | None = None
    unknown: Unknown | None = None
    doubts: LabelDoubts | None = None


def text(info: ClassifierInfo, facts: CardFacts) -> str:
    """Return the card as Markdown."""
    parts = (_what, _use, _origin, _quality, _intended, _limits, _repeat)
    return block(_metadata(info, facts)) + "\n" + "\n".join(part(info, facts) for part in parts)


def _metadata(info: ClassifierInfo, facts: CardFacts) -> dict[str, Value]:
    licences = list(dict.fromkeys(one.licence for one in facts.networks))
    known = HUB_LICENCES.get(licences[0]) if len(licences) == 1 else None
    licence: dict[str, Value] = (
        {"license": known} if known else {"license": "other", "license_name": " + ".join(licences)}
    )
    measured = list(_measured(facts))
    results: dict[str, Value] = {
        "metrics": [kind for kind, _, _ in measured],
        "model-index": [{"name": info.provenance.candidate, "results": [_results(facts.data, measured)]}],
    }
    return {
        **licence,
        "library_name": "headstart",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "headstart", "openvino", *(one.name for one in facts.networks)],
        "base_model": [one.name for one in facts.networks],
        **(results if measured else {}),
    }


def _measured(facts: CardFacts) -> Iterator[tuple[str, float, str]]:
    """Yield kind, value and name of what was measured on test images that were not learned from."""
    test, figure = facts.test, figure_of(facts.test, facts.clean)
    if facts.clean:
        if figure:
            yield "accuracy", figure.accuracy, "Test accuracy, without test images that are also training images"
        return
    yield "accuracy", test.accuracy, "Test accuracy"
    yield "balanced_accuracy", test.balanced_accuracy, "Test accuracy, all classes counted alike"
    if test.averages.macro.f1 is not None:
        yield "f1", test.averages.macro.f1, "Test F1, mean over the classes"


def _results(data: str, measured: Sequence[tuple[str, float, str]]) -> Value:
    return {
        "task": {"type": "image-classification", "name": "Image classification"},
        "dataset": {"type": "imagefolder", "name": data, "split": "test"},
        "metrics": [{"type": kind, "value": value, "name": name} for kind, value, name in measured],
    }


def _what(info: ClassifierInfo, facts: CardFacts) -> str:
    names = [plain(name) for name in info.classes]
    shown = ", ".join(names[:30]) + (f" and {len(names) - 30} more (see the table below)" if len(names) > 30 else "")
    unknown = (
        f"Where an image looks like none of these, it answers `{unknown_word(info.classes)}`." if info.unknown else ""
    )
    return _lines(
        f"# {plain(info.provenance.candidate)}: a classifier of {len(names)} classes",
        f"It looks at a photograph and says which of these classes it shows, with a probability for each: {shown}. "
        f"{unknown}".rstrip(),
        _headline(facts),
    )


def _headline(facts: CardFacts) -> str:
    figure = figure_of(facts.test, facts.clean)
    if figure is None:
        assert facts.clean is not None, "without shared images there is a figure"
        return f"{shared_in_words(facts.clean)} {facts.validated}".rstrip()
    shared = "" if facts.clean is None else f" {_left_out(facts.clean)}"
    return (
        f"On {figure.images:,} test images that played no part in its making it was right in "
        f"{_percent(figure.accuracy)} %{_between(figure)}.{shared}"
    )


def _left_out(clean: CleanTest) -> str:
    return f"{clean.contaminated:,} of the {clean.images:,} test images are also training images and do not count here."


def _between(figure: Figure) -> str:
    if figure.ci95 is None:
        return ""
    return f" (95 % interval {_percent(figure.ci95[0])} to {_percent(figure.ci95[1])})"


def _use(info: ClassifierInfo, facts: CardFacts) -> str:
    return _lines(
        "## How to use it",
        "`pip install headstart` is enough; nothing that trains networks is needed. `CLASSIFIER` is this folder, or a "
        "zip file of it.",
        "```\nheadstart predict CLASSIFIER photo.jpg folder_of_photos/\nheadstart doctor CLASSIFIER\n```",
        "The second line checks that every file is the one that was saved, and that the classifier still says of the "
        "generated pictures in `probes.npz` what it said then. In Python:",
        '```python\nimport headstart\n\nfor one in headstart.load("CLASSIFIER").predict(["photo.jpg"]):'
        "\n    print(one.path, one.answer, one.top(3))\n```",
        f"Images of any size and common format are turned upright, made RGB, and resized to {info.input.width} x "
        f"{info.input.height} pixels ({info.size.label}).",
    )


def _origin(info: ClassifierInfo, facts: CardFacts) -> str:
    origin = info.provenance
    networks = [
        f"- {plain(one.title)} ({one.name}): {plain(one.weights)}. Licence: {one.licence}." for one in facts.networks
    ]
    return _lines(
        "## How it was made",
        "\n".join(networks),
        f"The classifying layers behind: {plain(facts.head)}. {facts.steps}",
        f"Data: {plain(facts.data)}, {facts.images:,} images: {origin.training_images:,} were learned from, "
        f"{_tested(facts)}. Fingerprint of the images: `{origin.fingerprint}`. Whoever passes "
        "the classifier on must see to the rights in these images; headstart does not know them.",
        f"`{LEARNED_FILE}` holds a hash of every image file that was learned from, from which no image can be made, so "
        "that `headstart evaluate` knows the files again; so does anybody else who has both."
        if LEARNED_FILE in info.files
        else "",
        facts.choice,
    )


def _tested(facts: CardFacts) -> str:
    images = sum(one.support for one in facts.test.per_class)
    shared = f", {facts.clean.contaminated:,} of which were learned from too" if facts.clean else ""
    return f"{images:,} {'given' if facts.clean else 'kept'} for the test{shared}"


def _quality(info: ClassifierInfo, facts: CardFacts) -> str:
    return _lines(
        "## How good it is",
        _right(facts),
        _table(info, facts),
        *_calibrated(facts.calibration),
        *_told_apart(facts.unknown),
    )


def _right(facts: CardFacts) -> str:
    test, images = facts.test, sum(one.support for one in facts.test.per_class)
    alike = f"With all classes counted alike that is {_percent(test.balanced_accuracy)} %."
    named = "These numbers are of the most probable class."
    everything = Figure(test.accuracy, test.intervals.get("accuracy"), images)
    right = f"Of {images:,} test images it classified {_percent(test.accuracy)} % right{_between(everything)}. {alike}"
    if facts.clean is None:
        return f"{right} {named}"
    return (
        f"{shared_in_words(facts.clean)} With the shared images, as in all numbers from here on, it looks better than "
        f"it is: of {images:,} it classified {_percent(test.accuracy)} % right. {alike} {named}"
    )


def _table(info: ClassifierInfo, facts: CardFacts) -> str:
    head = "| class | learned from | tested on | found (recall) | right when named (precision) |\n|---|--:|--:|--:|--:|"
    rows = [
        f"| {plain(one.class_)} | {learned:,} | {one.support:,} | {_share(one.recall)} | {_share(one.precision)} |"
        for one, learned in zip(facts.test.per_class, facts.training, strict=True)
    ]
    return "\n".join([head, *rows])


def _calibrated(found: Calibration | None) -> Iterator[str]:
    if found is None:
        return
    apart = (
        f"On the test images, how sure it is and how often it is right are {_percent(found.after.error)} points apart "
        "on average (expected calibration error)"
    )
    noise = (
        "" if found.after.noise is None else f" Perfect probabilities would show {_percent(found.after.noise)} on them."
    )
    if found.temperature == 1:
        given = f"Its probabilities are as the network gives them: {found.images:,} images say nothing better."
        yield f"{given} {apart}.{noise}"
        return
    yield (
        f"Its probabilities were corrected by one number (temperature {found.temperature:.3g}). {apart}; before the "
        f"correction {_percent(found.before.error)}.{noise}"
    )


def _told_apart(found: Unknown | None) -> Iterator[str]:
    if found is None:
        return
    kept = f"Of the test images, which do show one of the classes, {_percent(found.kept)} % are not refused."
    if found.mean_auroc is None:
        yield f"Images of none of the classes: how well they are told was not measured. {kept}"
        return
    yield (
        f"Images of none of the classes: each class was left out of training in turn. An image of it looked stranger "
        f"than one of a known class in {_percent(found.mean_auroc)} of 100 pairs (mean AUROC {found.mean_auroc:.3f}). "
        f"{kept}"
    )


def _intended(info: ClassifierInfo, facts: CardFacts) -> str:
    return _lines(
        "## What it is for",
        f"Sorting photographs like those of {plain(facts.data)} into the classes above: same subjects, same kind of "
        "camera, light and surroundings. It is not made for decisions about people, their health or their safety.",
    )


def _limits(info: ClassifierInfo, facts: CardFacts) -> str:
    return _lines("## What it cannot do", "\n".join(f"- {one}" for one in _limitations(info, facts)))


def _limitations(info: ClassifierInfo, facts: CardFacts) -> Iterator[str]:
    yield (
        "The numbers above hold for images like the test images. With another camera, place or season it may do "
        "worse, and nothing here says by how much: try it on some of your own, with `headstart evaluate`."
    )
    if info.unknown:
        yield "`unknown` is a guess too: some strange images pass as known ones, and some known ones are refused."
    else:
        yield "It does not know images of other things: whatever it is shown, it names one of its classes."
    yield from _small_classes(info.classes, facts)
    doubts = facts.doubts
    if doubts and doubts.estimated:
        yield (
            f"Some labels it learned from are probably wrong: at least about {doubts.estimated:,} of {doubts.images:,} "
            "by estimate, and it may have learned some of the mistakes."
        )
    if info.thresholds or info.costs:
        yield "Some errors were said to matter more, so its answer need not be the most probable class."


def _small_classes(classes: Sequence[str], facts: CardFacts) -> Iterator[str]:
    few = [one.class_ for one in facts.test.per_class if one.support < FEW_TEST_IMAGES]
    if few:
        yield (f"Classes with fewer than {FEW_TEST_IMAGES} test images, whose numbers are little sure: {_listed(few)}.")
    small = [name for name, count in zip(classes, facts.training, strict=True) if count < FEW_TRAINING_IMAGES]
    if small:
        yield f"Classes learned from fewer than {FEW_TRAINING_IMAGES} images: {_listed(small)}."


def _repeat(info: ClassifierInfo, facts: CardFacts) -> str:
    return _lines(
        "## How to repeat it",
        f"With the same images and weights, headstart {info.headstart_version} and the file `study.toml` of the run "
        "folder:",
        "```\nheadstart run study.toml --data DATA\n```",
        f"Identity of the study: `{info.provenance.study}`.",
    )


def _lines(*paragraphs: str) -> str:
    return "\n\n".join(one for one in paragraphs if one) + "\n"


def _listed(names: Iterable[str], most: int = 10) -> str:
    listed = [plain(name) for name in names]
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{_percent(value)} %"


def plain(words: str) -> str:
    """Return a name so that Markdown shows it as it is: on one line, marks escaped."""
    return _SPECIAL.sub(r"\\\1", " ".join("".join(c if c.isprintable() else " " for c in words).split()))
