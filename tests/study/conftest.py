"""A small folder of photographs and a finished study of it, shared by the tests of this room."""

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from headstart import api
from headstart.api import Result, Settings
from headstart.data.images import ImageRow
from headstart.data.split import Round
from headstart.evaluation.choosing import Measure
from headstart.evaluation.ranking import best_first
from headstart.progress import Progress
from headstart.recipe import Protocol
from headstart.runs.folder import PredictionBlock
from headstart.study.case import Case
from headstart.study.conclude import Final, Opened
from headstart.study.jobs import Jobs
from headstart.study.judge import candidate_result, final_job, judge
from headstart.study.learners import Goal, HeadLearner
from headstart.study.parts import Parts
from headstart.study.views import Copies
from headstart.training.heads import forward, softmax

TINTS = {"blue": (40, 60, 200), "green": (50, 180, 60), "red": (200, 50, 60)}
SETTINGS = Settings(backbones=("mobilenet:random",), learning_rates=(1e-2, 1e-3), folds=3, epochs=8, image_size=32)


@dataclass(frozen=True)
class Finished:
    data: Path
    cache: Path
    settings: Settings
    result: Result


def write_photographs(folder: Path, count: int = 24) -> Path:
    """Write noisy tinted squares, ``count`` per class, and one file that is no image."""
    random = np.random.default_rng(0)
    for name, tint in TINTS.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.clip(random.normal(tint, 40, (36, 40, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    (folder / "red" / "torn.jpg").write_bytes(b"\xff\xd8\xff no picture")
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    place = tmp_path_factory.mktemp("study")
    data = write_photographs(place / "photos")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(place / "cache"))
        result = api.compare(data, SETTINGS, out=place / "run")
    return Finished(data, place / "cache", SETTINGS, result)


class Listener(Progress):
    """Remembers what was said."""

    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


@pytest.fixture
def made_case(tmp_path):
    """Return a maker of cases from features: real heads in real rounds, without images and networks."""
    numbers = itertools.count()

    def make(features, labels, candidates, *, rounds=None, groups=None, finalists=None, **settings):
        protocol = Protocol(**settings)
        classes = tuple(f"class {number}" for number in range(labels.max() + 1))
        rows = [
            ImageRow(
                f"{row}.png", classes[label], f"{row:064x}", 8, 8, "ok", "", groups[row] if groups else "", "train"
            )
            for row, label in enumerate(labels)
        ]
        rounds = rounds or _folds(len(labels), protocol.folds, protocol.repeats)
        nothing = np.zeros(0, np.int64)
        parts = Parts(tuple(rows), labels, np.arange(len(labels)), nothing, nothing, tuple(rounds))
        network = SimpleNamespace(name="made", views=(), learner="heads", candidates=tuple(candidates))
        goal = Goal(len(classes), Measure(protocol.choose_by))
        learner = HeadLearner(network, np.float32(features), Copies(parts, (), 0), goal, frozen=1000)
        place = SimpleNamespace(jobs=Jobs(tmp_path / "jobs", f"case {next(numbers)}"), progress=Listener())
        judged = judge([SimpleNamespace(network=network, learner=learner, reason=None)], parts, protocol, place)
        plan = SimpleNamespace(
            recipe=SimpleNamespace(protocol=protocol, published=()),
            splits=SimpleNamespace(kind=protocol.kind, folds=protocol.folds),
            table=SimpleNamespace(classes=classes),
            measure=goal.measure,
        )
        results = [candidate_result(one, plan, parts) for one in judged]
        ranked = best_first(results, protocol.choose_by)[:finalists]
        return Case(
            plan=plan,
            parts=parts,
            preparation=None,
            judged=judged,
            results=results,
            finals=(),
            opened=None,
            ranked=ranked,
            place=place,
            kept=ranked[0].id,
        )

    return make


def _folds(images, count, repeats):
    rounds = []
    for repeat in range(repeats):
        fold = np.random.default_rng([7, repeat]).permutation(images) % count
        rounds += [Round(repeat, one, np.flatnonzero(fold != one), np.flatnonzero(fold == one)) for one in range(count)]
    return rounds


@pytest.fixture
def opened_case(made_case):
    """Return a maker of cases whose best candidate was trained again and shown 3,000 test images.

    Of ``values`` features the first three tell the three classes a little, the others nothing.
    """

    def noisy(images, seed, values):
        random = np.random.default_rng(seed)
        labels = np.arange(images) % 3
        features = random.normal(size=(images, values)).astype(np.float32)
        features[np.arange(images), labels] += 1.5
        return features, labels

    def make(images, candidates, *, values=40, labels=None, **settings):
        features, truth = noisy(images, 1, values)
        case = made_case(features, truth if labels is None else labels, candidates, **settings)
        judged = case.judged_of(case.best)
        epochs = judged.candidate.train.epochs
        job = final_job(judged.candidate, case.parts.train, epochs, case.protocol)
        [trained] = judged.learner.train("finals", [job], case.place.jobs, case.place.progress)
        final = Final(judged, epochs, trained.fits[0], 0.0)
        features, truth = noisy(3000, 9, values)
        logits = forward(judged.candidate.head, final.fit.weights, features)
        said = softmax(logits.astype(np.float64))
        block = PredictionBlock(case.best, "test", None, None, ("",) * 3000, truth, said, logits)
        return replace(case, finals=(final,), opened=Opened((), (block,), 1))

    return make
