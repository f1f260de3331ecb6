"""A run folder as a study leaves it, from seeded synthetic predictions: no photographs, no training."""

import dataclasses
import io
import itertools
from dataclasses import dataclass

import numpy as np
import pytest
import tomli_w
from PIL import Image

from headstart.data.audit import Atypical, Audit, Leak, SetAside, Sizes, Span, WrongExtension
from headstart.data.table import ImageRow
from headstart.evaluation.comparison import compare_on_folds, compare_on_test, friedman
from headstart.evaluation.evidence import (
    Baseline,
    Calibration,
    CalibrationScores,
    Changes,
    Combination,
    CoveragePoint,
    Expected,
    LabelDoubts,
    LeakEffect,
    LearningCurve,
    LearningPoint,
    MethodScore,
    Operating,
    OperatingPoint,
    Optimism,
    Overfitting,
    ReliabilityBin,
    Unknown,
    UnknownTrial,
)
from headstart.evaluation.expected_test import expect_test
from headstart.evaluation.metrics import evaluate, fold_values
from headstart.evaluation.published import compare_published
from headstart.evaluation.results import (
    CandidateResult,
    CrossValidation,
    DatasetSummary,
    FinalResult,
    ParameterCounts,
    ProtocolSummary,
)
from headstart.evaluation.summary import Summary
from headstart.recipe import Augmentation, Candidate, Head, Optimizer, Phase, PublishedValue, Training
from headstart.report.page import render
from headstart.runs.folder import (
    CandidateTiming,
    DoubtRow,
    Environment,
    FeatureTiming,
    FoldRow,
    HistoryRow,
    LayerRow,
    MapRow,
    PictureRow,
    PredictionBlock,
    ResultRow,
    RunFolder,
    Timings,
)
from headstart.runs.rows import MAP_COLUMNS, MAP_TILE
from headstart.storage import to_plain
from headstart.study.galleries import chosen
from headstart.study.leaks import clean_tests, leak_effect

EPOCHS = 20
SKILLS = {"mobilenet": 2.6, "mobilenet_v2": 2.4, "resnet50": 2.9, "small_cnn": 1.2}
SIZES = {"mobilenet": 3_233_989, "mobilenet_v2": 2_264_389, "resnet50": 23_597_957, "small_cnn": 94_000}
SPEEDS = {"mobilenet": 5.1, "mobilenet_v2": 4.2, "resnet50": 24.0, "small_cnn": 0.8}
RATE_PENALTY = {1e-2: 0.25, 1e-3: 0.0, 1e-4: 0.7, 1e-5: 1.6}


LOOKED_AT = {
    "near_duplicates": (("daisy/00003.jpg", "daisy/00005.jpg"),),
    "leaks": (
        Leak("exact", ("daisy/00001.jpg", "daisy/00002.jpg"), ("train", "test")),
        Leak("near", ("daisy/00003.jpg", "daisy/00005.jpg"), ("train", "test")),
    ),
    "wrong_extensions": (WrongExtension("daisy/00006.jpg", "PNG"),),
    "rotated": ("daisy/00007.jpg", "daisy/00008.jpg"),
    "colour_modes": {"RGB": 296, "CMYK": 2, "I;16": 2},
    "sizes": Sizes(Span(48, 320, 1024), Span(60, 240, 768), 37, 3, ("daisy/long.jpg",)),
    "dark": ("daisy/dark.jpg",),
    "blank": ("daisy/blank.jpg",),
    "blurred": tuple(f"daisy/blurred-{number}.jpg" for number in range(14)),
    "atypical": (Atypical("daisy/odd.jpg", "daisy", "tulips", 4.2), Atypical("daisy/own.jpg", "daisy", "daisy", 3.9)),
    "similar": (("daisy/00009.jpg", "daisy/00010.jpg"),),
}
"""What an audit says of single images."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What kind of run folder to build."""

    classes: tuple[str, ...] = ("daisy", "dandelion", "roses", "sunflowers", "tulips")
    backbones: tuple[str, ...] = ("mobilenet", "mobilenet_v2")
    rates: tuple[float, ...] = (1e-2, 1e-3)
    folds: int = 3
    per_class: int = 60
    failed: tuple[str, ...] = ()
    perfect: bool = False
    pictures: bool = False
    """Pictures as earlier versions wrote them: samples and mistakes, each with its own file."""
    galleries: bool = False
    """Galleries of test images, overlays, and thumbnails of what is doubted, odd or there twice."""
    clean: bool = False
    holdout: bool = False
    phases: tuple[int, ...] = ()
    """Epochs after which a phase of training ends."""
    named: tuple[str, ...] = ()
    """Names of further candidates: the first backbone at the first rate with other heads."""
    published: tuple[PublishedValue, ...] = ()
    unknown: tuple[str, ...] = ()
    augmented: bool = False
    evidence: bool = False
    """Everything that issue 4 measures, made up."""
    mapped: bool = False
    """A map of the images, with a sheet of pictures of the first of them."""
    before: bool = False
    """As studies of earlier versions were written: folds scored at their best epochs, nothing on shared images."""
    shared: int | None = None
    """So many of the first test images are also training images."""
    openings: int = 1
    seed: int = 0


class Builder:
    """Writes every file of a run folder for one ``Sample``."""

    def __init__(self, path, sample):
        self.folder, self.sample = RunFolder(path), sample
        self.random = np.random.default_rng(sample.seed)
        plain = [(name, rate, "", ()) for name in sample.backbones for rate in sample.rates]
        further = [
            (sample.backbones[0], sample.rates[0], name, (f"dense {64 * place}", "dropout 0.5"))
            for place, name in enumerate(sample.named, 1)
        ]
        self.candidates = [self._setting(*one) for one in (*plain, *further)]
        self.done = [one for one in self.candidates if one.id not in sample.failed]
        self.images = self._images()

    def _setting(self, backbone, rate, name, layers):
        starts = (0, *self.sample.phases, EPOCHS)
        epochs = [end - start for start, end in itertools.pairwise(starts)]
        phases = tuple(Phase(count, "all") for count in epochs[1:])
        train = Training(epochs=epochs[0], optimizer=Optimizer(learning_rate=rate), phases=phases)
        augmentation = Augmentation(views=("flip",) if self.sample.augmented else ())
        return Candidate(backbone, name, head=Head(layers=layers), train=train, augmentation=augmentation)

    def build(self):
        """Write all files and return the folder."""
        folder, sample = self.folder, self.sample
        with folder.claim("0" * 64):
            folder.write_study(self._study())
            folder.write_environment(self._environment())
            folder.write_images(self.images)
            folder.write_audit(self._audit())
            folds = {row.path: n % sample.folds for n, row in enumerate(self._part("train"))}
            folder.write_folds([FoldRow(0, fold, path) for path, fold in folds.items()])
            results = [self._candidate(one) for one in self.candidates]
            folder.write_results(self._result_rows(results))
            folder.write_layers(row for result in results for row in self._layers(result))
            history = [row for result in results if result.cv for row in self._history(result)]
            folder.write_history(history)
            summary, blocks = self._summary(results, history)
            folder.write_predictions([*self._out_of_fold(folds), *blocks], sample.classes)
            folder.write_timings(self._timings())
            if sample.pictures:
                folder.write_pictures(self._pictures())
            if sample.galleries:
                folder.write_pictures(self._galleries([block for block in blocks if block.part == "test"]))
            if sample.mapped:
                self._map(summary.best)
            folder.classifier.mkdir()
            if sample.evidence:
                folder.write_doubts(self._doubts())
            folder.write_summary(self._with_evidence(summary, blocks) if sample.evidence else summary)
            for number in range(sample.openings):
                chosen = [final.candidate for final in summary.finals]
                folder.log("test set opened", finalists=chosen, opening=number + 1)
                folder.log("test set opened", finalists=chosen, opening=number + 1)
        return folder

    def _study(self):
        about = {"title": "Flowers & more", "source": "Somebody, 2020", "unknown": list(self.sample.unknown)}
        protocol = {"protocol": {"equivalence": 0.01}} if self.sample.evidence else {}
        return tomli_w.dumps({**about, **protocol, "candidate": [to_plain(one) for one in self.candidates]})

    def _images(self):
        rows = []
        for name in self.sample.classes:
            for number in range(self.sample.per_class):
                split = "test" if number % 5 == 0 else "train"
                split = "validation" if self.sample.holdout and number % 5 == 1 else split
                path = f"{name}/{number:05d}.jpg"
                rows.append(ImageRow(path, name, f"{len(rows):064x}", 320, 240, "ok", "", "", split))
        if not self.sample.clean:
            rows.append(ImageRow("daisy/torn.jpg", "daisy", "f" * 64, 0, 0, "set_aside", "cut short", "", "excluded"))
        return rows

    def _part(self, split):
        return [row for row in self.images if row.split == split]

    def _say(self, candidate, rows):
        """Return labels, probabilities and logits of a candidate on some images."""
        classes = len(self.sample.classes)
        labels = np.array([self.sample.classes.index(row.label) for row in rows])
        skill = SKILLS[candidate.backbone] - RATE_PENALTY[candidate.train.optimizer.learning_rate]
        logits = (
            self.random.normal(size=(len(rows), classes))
            + (9 if self.sample.perfect else skill) * np.eye(classes)[labels]
        )
        logits[:, -1] += 0.9 * (labels == 0) * (not self.sample.perfect)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return labels, shares / shares.sum(axis=1, keepdims=True), logits.astype(np.float32)

    def _block(self, candidate, part, rows, fold=None):
        labels, shares, logits = self._say(candidate, rows)
        paths = tuple(row.path for row in rows)
        return PredictionBlock(candidate.id, part, None if fold is None else 0, fold, paths, labels, shares, logits)

    def _out_of_fold(self, folds):
        train = self._part("train")
        for candidate in self.done:
            for fold in range(self.sample.folds):
                yield self._block(candidate, "out_of_fold", [row for row in train if folds[row.path] == fold], fold)

    def _candidate(self, candidate):
        name, failed = candidate.backbone, candidate.id in self.sample.failed
        total = SIZES[name]
        trainable = 1024 * len(self.sample.classes)
        per_phase = (trainable, *(total - 21_888 for _ in self.sample.phases))
        return CandidateResult(
            id=candidate.id,
            backbone=name,
            head=", ".join(("average pooling", *candidate.head.layers, "softmax")),
            cut="backbone frozen",
            settings=to_plain(candidate),
            status="failed" if failed else "done",
            reason="MemoryError: 3.1 GB asked for, 2.0 GB free" if failed else None,
            parameters=None if failed else ParameterCounts(trainable, total - trainable, total, per_phase),
            size_bytes=None if failed else 4 * total,
            cv=None if failed else self._cross_validation(candidate),
        )

    def _cross_validation(self, candidate):
        skill = SKILLS[candidate.backbone] - RATE_PENALTY[candidate.train.optimizer.learning_rate]
        best = 1.0 if self.sample.perfect else 1 - 0.55 * np.exp(-0.7 * skill)
        spread = 0.0 if self.sample.perfect else 0.012
        accuracy = np.clip(best + spread * self.random.normal(size=self.sample.folds), 0, 1)
        loss = 2.2 * (1 - accuracy) + 0.08
        epochs = self.random.integers(9, 19, self.sample.folds)
        if not self.sample.before:
            epochs, spread = np.full(self.sample.folds, EPOCHS), 0.0
        return CrossValidation(
            accuracy=self._folds(accuracy, accuracy - spread / 3),
            loss=self._folds(loss, loss * (1.05 if self.sample.before else 1.0)),
            train_accuracy=fold_values((accuracy * 0.5 + 0.5).tolist(), (accuracy * 0.4 + 0.6).tolist()),
            train_loss=fold_values((loss * 0.4).tolist(), (loss * 0.3).tolist()),
            best_epochs=tuple(epochs.tolist()),
        )

    def _folds(self, best, last):
        share = 1 / max(1, self.sample.folds - 1) if self.sample.evidence else None
        return fold_values(best.tolist(), last.tolist(), test_share=share)

    def _result_rows(self, results):
        for result in results:
            cv = result.cv
            for fold in range(self.sample.folds):
                values = [None] * 8
                if cv:
                    measures = (cv.accuracy, cv.loss, cv.train_accuracy, cv.train_loss)
                    last = [cv.accuracy.last_epoch_mean, cv.loss.last_epoch_mean]
                    values = [cv.best_epochs[fold], EPOCHS, *(measure.folds[fold] for measure in measures), *last]
                yield ResultRow(result.id, 0, fold, result.status, *values)

    def _layers(self, result):
        classes, total = len(self.sample.classes), SIZES[result.backbone]
        head = 1024 * classes
        trained = total - head - 21_888 if self.sample.phases else 0
        rows = (
            ("input_layer", "InputLayer", "224 x 224 x 3", 0, 0),
            ("conv_1", "Conv2D", "112 x 112 x 32", total - head, trained),
            ("average_pooling", "GlobalAveragePooling2D", "1024", 0, 0),
            ("output", "Dense", str(classes), head, head),
        )
        return [LayerRow(result.id, *row) for row in rows if result.status != "failed"]

    def _history(self, result):
        classes = len(self.sample.classes)
        for fold in [*range(self.sample.folds), None]:
            reach = result.cv.accuracy.mean if fold is None else result.cv.accuracy.folds[fold]
            for epoch in range(1, EPOCHS + 1 if fold is not None else 15):
                grown = 1 - np.exp(-epoch / 3.0)
                accuracy = 1 / classes + (reach - 1 / classes) * grown + 0.004 * self.random.normal()
                train = accuracy + 0.06 * grown * epoch / EPOCHS
                values = [2.0 * (1 - train) + 0.05, min(1.0, train), train, train, None]
                loss = 2.2 * (1 - accuracy) + 0.1 + 0.004 * max(0, epoch - 12)
                held_out = [None] * 5 if fold is None else [loss, min(1.0, accuracy), accuracy, accuracy, None]
                rate = result.settings["train"]["optimizer"]["learning_rate"]
                repeat = None if fold is None else 0
                phase = 1 + sum(epoch > end for end in self.sample.phases)
                yield HistoryRow(result.id, repeat, fold, phase, epoch, rate, *values, *held_out)

    def _summary(self, results, history):
        ranked = sorted((one for one in results if one.cv), key=lambda one: -one.cv.accuracy.mean)
        chosen = {}
        for result in ranked:
            chosen.setdefault(result.backbone, result.id)
        finals, blocks = [], []
        for candidate in sorted(
            (one for one in self.done if one.id in chosen.values()), key=lambda one: one.id != ranked[0].id
        ):
            parts = ("train", "validation", "test") if self.sample.holdout else ("train", "test")
            mine = [self._block(candidate, part, self._part(part)) for part in parts]
            seed = 0 if self.sample.evidence else None
            found = [evaluate(block.labels, block.probabilities, self.sample.classes, seed=seed) for block in mine]
            finals.append(FinalResult(candidate.id, 14, found[0], found[1] if self.sample.holdout else None, found[-1]))
            blocks += mine
        best = ranked[0].id
        test = next(final.test for final in finals if final.candidate == best)
        said = {one.candidate: one for one in blocks if one.part == "test"}
        compared = compare_on_test(best, said[best].labels, {name: one.probabilities for name, one in said.items()}, 0)
        low, high = test.intervals["accuracy"]
        verdict = (
            f"{best} did best in {self.sample.folds}-fold cross-validation and then classified {test.accuracy:.1%} of "
            f"the sealed test images right (95% interval {low:.1%} to {high:.1%})."
        )
        return Summary(
            dataset=self._dataset(),
            protocol=self._protocol(),
            candidates=tuple(results),
            best=best,
            recommended=finals[-1].candidate,
            finals=tuple(finals),
            test=test,
            verdict=verdict,
            comparison=compared if self.sample.evidence else _as_before(compared),
            **({} if self.sample.before else self._as_now(ranked[0], said)),
            published=compare_published(self.sample.published, results, finals, self.sample.classes, epochs=history),
        ), blocks

    def _protocol(self):
        kind, folds = ("holdout", None) if self.sample.holdout else ("folds", self.sample.folds)
        openings = self.sample.openings
        scored = () if self.sample.before else ("accuracy", "last")
        return ProtocolSummary(kind, folds, 1, "accuracy", "per_backbone", self.sample.seed, openings, *scored)

    def _as_now(self, best, said):
        """Return what studies of earlier versions did not say."""
        leaked = np.arange(len(said[best.id].labels)) < (self.sample.shared or 0)
        count = int((~leaked).sum())
        sizes = [len(self._part("train")) // self.sample.folds] * self.sample.folds
        expected = expect_test(
            best.cv.accuracy.folds, sizes, images_of_repeat=sum(sizes), selection_bias=0.0, test_images=count or 1
        )
        support = sum(row.label == self.sample.classes[0] for row in self._part("test"))
        return {
            "clean": clean_tests(list(said.values()), leaked),
            "expected_test": expected,
            "baseline": Baseline(support, support * len(self.sample.classes), True, 0.9, 0.0001, 0.0001, True),
        }

    def _with_evidence(self, summary, blocks):
        """Return the summary with everything that can be measured."""
        best = summary.best
        folds = {one.id: one.cv.accuracy.folds for one in summary.candidates if one.cv}
        share = 1 / max(1, self.sample.folds - 1)
        test = next(one for one in blocks if one.candidate == best and one.part == "test")
        return dataclasses.replace(
            summary,
            recommendation=f"Take {best}: nothing cheaper does as well.",
            comparison=(*summary.comparison, *compare_on_folds(best, folds, share, 0.01)),
            friedman=friedman(folds),
            estimands={"test_accuracy": "New images of the same kind, answered by this classifier."},
            calibration=_calibration(best, test),
            unknown=_unknown(best, self.sample.classes),
            operating=_operating(best, self.sample.classes),
            leak_effect=self._leak_effect(summary),
            optimism=_optimism(summary),
            learning_curve=_learning_curve(best),
            overfitting=tuple(
                Overfitting(one.candidate, 0.0521, 0.0933, 11.3 if place == 0 else None, 20.0, f"Words {place} on it.")
                for place, one in enumerate(summary.finals)
            ),
            combinations=_combinations(summary),
            label_doubts=LabelDoubts(best, 240, 17, 11, 0.0458, "About 11 labels are probably wrong."),
            changes=Changes("runs/before", 4, 2, 58, 0.8621, 0.8793, (-0.0112, 0.0456), "Six rows were changed."),
        )

    def _leak_effect(self, summary):
        if self.sample.clean:
            return None
        if summary.clean:
            return leak_effect(summary.clean[0], summary.test.accuracy)
        return LeakEffect(summary.best, 3, 0.8812, 0.8734, (0.8301, 0.9077))

    def _counts(self):
        return {
            split: {name: sum(row.label == name for row in self._part(split)) for name in self.sample.classes}
            for split in ("train", "validation", "test")
            if self._part(split)
        }

    def _dataset(self):
        taking_part = [row for row in self.images if row.status == "ok"]
        return DatasetSummary(
            path="photographs/flowers",
            fingerprint="5e" * 32,
            classes=self.sample.classes,
            images=len(taking_part),
            set_aside=len(self.images) - len(taking_part),
            counts=self._counts(),
        )

    def _audit(self):
        if self.sample.clean:
            return Audit((), (), (), (), (), self._counts(), ())
        plain = Audit(
            set_aside=(SetAside("daisy/torn.jpg", "cut short"),),
            exact_duplicates=(("daisy/00001.jpg", "daisy/00002.jpg"), ("roses/00004.jpg", "tulips/00009.jpg")),
            near_duplicates=(),
            label_conflicts=(("roses/00004.jpg", "tulips/00009.jpg"),),
            leaks=(Leak("exact", ("daisy/00001.jpg", "daisy/00002.jpg"), ("train", "test")),),
            counts=self._counts(),
            warnings=("1 picture under more than one label: correct the labels or remove them.",),
        )
        return dataclasses.replace(plain, **LOOKED_AT) if self.sample.evidence else plain

    def _doubts(self):
        """Return 15 rows that are in doubt, one of them settled by hand, and one that was corrected before."""
        first, second = self.sample.classes[:2]
        for number in range(15):
            action = "keep" if number == 3 else ""
            yield DoubtRow(f"{first}/{number:05d}.jpg", first, second, 0.99 - 0.03 * number, action)
        yield DoubtRow(f"{second}/00001.jpg", second, second, None, "relabel")

    def _timings(self):
        return Timings(
            forecast_seconds=48.0,
            forecast_bytes=18_000_000,
            total_seconds=52.4,
            stages={"forecast": 2.1, "features": 31.5, "training": 12.2, "final training": 3.1, "test": 0.4},
            features={name: FeatureTiming(600, 12.5, 48.0, 0) for name in self.sample.backbones},
            candidates={one.id: CandidateTiming(2.4, SPEEDS[one.backbone], 7.5) for one in self.done},
        )

    def _environment(self):
        return Environment(
            headstart="0.1.0",
            python="3.11.9",
            system="Linux 6.1",
            processor="an ordinary processor",
            cores=2,
            memory_bytes=16_000_000_000,
            backend="tensorflow",
            engine="openvino f32",
            command="headstart compare photographs/flowers --learning-rates 1e-2,1e-3,1e-4 --out runs/flowers",
            packages={"keras": "3.15.1", "numpy": "2.4.6", "openvino": "2026.4.1"},
        )

    def _map(self, best):
        """Write a map on which every class has a place of its own, and log it; 30 images have a picture."""
        classes, said, rows = self.sample.classes, {}, []
        for block in self.folder.predictions(candidates=[best], parts=["out_of_fold", "test"]):
            answers = (classes[place] for place in block.probabilities.argmax(axis=1))
            said.update(zip(block.paths, answers, strict=True))
        for image in (one for one in self.images if one.status == "ok"):
            turn = 2 * np.pi * classes.index(image.label) / len(classes)
            middle = 0.7 * np.array([np.cos(turn), np.sin(turn)])
            place = np.round(np.clip(middle + 0.15 * self.random.normal(size=2), -1, 1), 4).tolist()
            tile = len(rows) if len(rows) < 30 else None
            rows.append(MapRow(image.path, image.label, image.split, said.get(image.path), *place, tile))
        noise = np.random.default_rng(1).integers(0, 256, (2 * MAP_TILE, MAP_COLUMNS * MAP_TILE, 3), np.uint8)
        stream = io.BytesIO()
        Image.fromarray(noise).save(stream, "jpeg", quality=20)
        self.folder.write_map(rows, stream.getvalue())
        self.folder.log("image map", images=len(rows), pictures=30, of="features", candidate=best)

    def _pictures(self):
        for kind in ("sample", "mistake"):
            for place, label in enumerate(self.sample.classes * 3):
                said = self.sample.classes[(place + 1) % len(self.sample.classes)]
                about = (said, 0.83) if kind == "mistake" else (None, None)
                row = PictureRow(kind, place, f"{label}/{place:05d}.jpg", label, *about)
                yield row, _jpeg(place, wide=place % 3)
        operations = ("original", "flip", "zoom 0.2 + shift 20", "contrast 0.3") if self.sample.augmented else ()
        for number, operation in enumerate(operations * 2):
            label = self.sample.classes[number // len(operations)]
            row = PictureRow("augmentation", number, f"{label}/00001.jpg", label, operation=operation)
            yield row, _jpeg(number, wide=0)

    def _galleries(self, blocks):
        """Yield what a study writes for the test blocks of the finalists, the best first, with made-up pictures."""
        classes, best = self.sample.classes, blocks[0]
        listed = chosen(best.labels, [block.probabilities for block in blocks])
        numbers = {place: number for number, place in enumerate(dict.fromkeys(itertools.chain(*listed.values())))}
        for place, number in numbers.items():
            about = (number, best.paths[place], classes[best.labels[place]])
            yield PictureRow("photograph", *about), _jpeg(place, wide=place % 3)
            if any(place in places for kind, places in listed.items() if kind != "disagreement"):
                yield PictureRow("overlay", *about), _jpeg(1000 + place, wide=place % 3)
        for kind, places in listed.items():
            for number, place in enumerate(places):
                said = int(best.probabilities[place].argmax())
                about = (best.paths[place], classes[best.labels[place]], classes[said])
                probability = float(best.probabilities[place, said])
                yield PictureRow(kind, number, *about, probability, photograph=numbers[place]), None
        audit = self._audit()
        groups = (*audit.exact_duplicates, *audit.near_duplicates, *audit.label_conflicts, *audit.similar)
        odd = [[one.path for one in audit.atypical], [row.path for row in self._doubts() if row.confidence]]
        for number, path in enumerate(dict.fromkeys(itertools.chain(*groups, *odd))):
            yield PictureRow("thumbnail", number, path, path.partition("/")[0]), _jpeg(2000 + number, wide=0)


def _as_before(compared):
    """Return the comparisons as summaries of earlier versions hold them: one per pair."""
    return tuple(one for one in compared if one.method.startswith("McNemar"))


def _scores(probabilities, labels, bins):
    """Return calibration scores whose bins are real and whose other numbers are made up."""
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    groups = np.array_split(np.argsort(sure, kind="stable"), bins)
    made = tuple(ReliabilityBin(len(one), float(sure[one].mean()), float(right[one].mean())) for one in groups)
    error = float(np.mean([abs(one.confidence - one.accuracy) for one in made]))
    return CalibrationScores(error, 0.1 + error, 0.3 + error, made, error / 3)


def _calibration(best, test):
    before = _scores(test.probabilities**2 / (test.probabilities**2).sum(axis=1, keepdims=True), test.labels, 6)
    return Calibration(best, 1.4142, "out_of_fold", 240, before, _scores(test.probabilities, test.labels, 6))


def _unknown(best, classes):
    trials = tuple(
        UnknownTrial(name, 40 + place, 0.71 + 0.2 * np.sin(place) ** 2, 0.3) for place, name in enumerate(classes)
    )
    coverage = tuple(CoveragePoint(n / 20, 1 - 0.1 * (n / 20) ** 2, 1.02 - n / 20) for n in range(1, 21))
    methods = (
        MethodScore("energy", 0.7712),
        MethodScore("nearest_neighbours", 0.8035),
        MethodScore("mahalanobis", None),
    )
    return Unknown(
        candidate=best,
        method="nearest_neighbours",
        threshold=0.4131,
        kept=0.9467,
        judged="",
        methods=methods,
        trials=trials,
        mean_auroc=0.8035,
        folder=UnknownTrial("photographs/cars", 120, 0.9912, 0.95),
        coverage=coverage,
    )


def _operating(best, classes):
    points = (
        OperatingPoint(
            classes[0], "precision", 0.99, 0.8123, True, 0.9912, 0.731, 0.975, (0.88, 0.99), 0.7, (0.5, 0.8)
        ),
        OperatingPoint(classes[1], "recall", 0.999, 2.0, False, None, None, None, None, 0.0, (0.0, 0.2)),
    )
    return Operating(best, points, 0.8333, 0.8667, 0.4321, 0.2109)


def _optimism(summary):
    nested = fold_values([0.861, 0.874, 0.869], [0.86, 0.87, 0.865], test_share=0.5)
    chosen = (summary.best, summary.best, summary.candidates[0].id)
    epoch = 0.0061 if summary.protocol.score_epoch == "best" else None
    return Optimism(4, 0.0043, 0.8694, (0.8512, 0.8871), epoch, nested, chosen, "Choosing among 4 flatters a little.")


def _learning_curve(best):
    points = tuple(
        LearningPoint(
            30 * 2**n, fold_values([0.7 + 0.05 * n, 0.72 + 0.05 * n], [0.7, 0.7], test_share=0.5, bounds=(0.0, 1.0))
        )
        for n in range(4)
    )
    expected = (Expected(480, 0.8934, (0.871, 0.915)), Expected(960, 0.9102, (0.879, 0.934)))
    return LearningCurve(best, points, expected, "Twice as many images would bring about 2.5 points.")


def _combinations(summary):
    members = tuple(final.candidate for final in summary.finals)
    compared = [dataclasses.replace(one, a="average", b=summary.best) for one in summary.comparison][:1]
    parts = ((members, "average", True), (members[:1], "flip", False))
    return tuple(
        Combination(kind, kind, names, 0.8912, summary.test, one, 5_498_378, recommended, f"The {kind} was tried.")
        for one in compared
        for names, kind, recommended in parts
    )


def _jpeg(seed, *, wide):
    random = np.random.default_rng(seed)
    small = random.integers(40, 220, (4, 6 if wide else 4, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(small).resize((192 if wide else 128, 128)).save(stream, "jpeg", quality=80)
    return stream.getvalue()


@pytest.fixture(scope="module")
def evidence_run(tmp_path_factory):
    """Return a run folder with all evidence and its page, for tests that only read."""
    folder = Builder(tmp_path_factory.mktemp("evidence") / "run", Sample(evidence=True)).build()
    return folder, render(folder)


@pytest.fixture(scope="module")
def map_run(tmp_path_factory):
    """Return a run folder with a map and its page, for tests that only read."""
    folder = Builder(tmp_path_factory.mktemp("map") / "run", Sample(mapped=True)).build()
    return folder, render(folder)


@pytest.fixture
def build_run(tmp_path):
    """Return a function that builds a run folder for the settings of ``Sample`` and returns it."""

    def build(name="run", **settings):
        return Builder(tmp_path / name, Sample(**settings)).build()

    return build
