"""Several runs on one page: their numbers are those of the files, their tests those of a study."""

import base64
import csv
import dataclasses
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from headstart.errors import ReportError, RunError, UsageError
from headstart.evaluation.comparison import compare_on_test
from headstart.report import differences, pairs, several
from headstart.report.finished_run import read_runs, short_names
from headstart.report.page import write_report
from headstart.report.several import render, write_page
from headstart.runs.folder import RunFolder
from headstart.runs.history import Headline, find_runs
from headstart.storage import to_plain

SMALL = {"backbones": ("mobilenet",), "rates": (1e-3,)}


class Page(HTMLParser):
    """Elements in order, with attributes and text; complains about tags that do not match."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        element = {"tag": tag, "text": "", **dict(attributes)}
        self.elements.append(element)
        if tag not in ("br", "link", "meta", "hr", "img"):
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag, **attributes):
        """Return the elements of a tag that have these attributes."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [one for one in self.elements if one["tag"] == tag and wanted.items() <= one.items()]


def plain_of(folders):
    """Return what the numbers of the page must be found in, read from the files and computed once more."""
    names = {"summary": "summary.json", "timings": "timings.json"}
    runs = [{name: json.loads((folder.path / file).read_bytes()) for name, file in names.items()} for folder in folders]
    found = pairs.compare_runs(read_runs([folder.path for folder in folders]))
    return {"runs": runs, "pairs": to_plain(found.pairs)}


def look_up(value, pointer):
    for word in (step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")):
        value = None if value is None else value[int(word)] if isinstance(value, list) else value.get(word)
    return value


def of(folder, part="test"):
    """Return what the best candidate of a run says of one part."""
    return next(iter(folder.predictions(candidates=[folder.summary().best], parts=[part])))


def paths_of(folders):
    return [folder.path for folder in folders]


def compared(*folders):
    return pairs.compare_runs(read_runs(paths_of(folders)))


def change_images(folder, change):
    """Write the image table of a run with some rows changed."""
    folder.write_images([change(row) for row in folder.images()])


def add_image(folder, **changes):
    """Add an image to the table of a run."""
    folder.write_images([*folder.images(), dataclasses.replace(folder.images()[0], path="added.jpg", **changes)])


@pytest.fixture
def two(build_run):
    """Return two runs on the same images, the second with further candidates and all evidence."""
    return build_run("one", **SMALL), build_run("two", seed=1, evidence=True)


@pytest.fixture
def three(two, build_run):
    """Return three runs on the same images, the third much worse."""
    return (*two, build_run("three", backbones=("small_cnn",), rates=(1e-5,), seed=2))


def test_every_number_is_that_of_the_files(three):
    documents = plain_of(three)
    elements = Page(render(paths_of(three))).all("data")
    assert len(elements) > 60
    for element in elements:
        value = look_up(documents, element["data-from"])
        if "data-less" in element:
            value = min(1.0, max(0.0, value - look_up(documents, element["data-less"])))
        assert element["value"] == ("" if value is None else repr(value)), element["data-from"]
    asked = {element["data-from"] for element in elements}
    for place, folder in enumerate(three):
        summary = folder.summary()
        at = [one.id for one in summary.candidates].index(summary.best)
        final = [one.candidate for one in summary.finals].index(summary.best)
        assert f"runs/{place}/summary/candidates/{at}/cv/accuracy/mean" in asked
        assert f"runs/{place}/summary/finals/{final}/test/accuracy" in asked
        assert f"runs/{place}/timings/total_seconds" in asked


def test_the_tests_are_those_within_a_study(three):
    """All three had the same test images, as three candidates of one study have."""
    found = compared(*three)
    blocks = [of(folder) for folder in three]
    best = found.pairs[0].first
    seed = 0
    said = {str(place): block.probabilities for place, block in enumerate(blocks)}
    rows = compare_on_test(str(best), blocks[0].labels, said, seed)
    for pair in found.pairs:
        assert (pair.first, pair.images, pair.whole, pair.aside) == (best, len(blocks[0].labels), True, "")
        mine = [one for one in rows if one.b == str(pair.second)]
        test = next(one for one in mine if one.method.startswith("McNemar"))
        for name in ("difference", "ci95", "p_value", "p_adjusted", "verdict", "method"):
            assert getattr(pair.accuracy, name) == getattr(test, name), name
        for one, other in zip(pair.further, [one for one in mine if one.measure != "accuracy"], strict=True):
            assert (one.method, one.measure) == (other.method, other.measure)
            assert one.difference == pytest.approx(other.difference, abs=1e-12)
    assert {pair.second for pair in found.pairs} == {0, 1, 2} - {best}
    assert found.apart == ()


def test_mcnemar_mid_p_is_that_of_the_binomial_distribution(two):
    [pair] = compared(*two).pairs
    first, second = (of(two[place]) for place in (pair.first, pair.second))
    right = [block.probabilities.argmax(axis=1) == block.labels for block in (first, second)]
    only = int(np.sum(right[0] & ~right[1])), int(np.sum(right[1] & ~right[0]))
    assert (pair.only_first, pair.only_second) == only
    assert (pair.right_first, pair.right_second) == (right[0].mean(), right[1].mean())
    mid_p = 2 * binom.cdf(min(only), sum(only), 0.5) - binom.pmf(min(only), sum(only), 0.5)
    assert pair.accuracy.p_value == pytest.approx(min(1.0, mid_p))
    assert pair.accuracy.p_adjusted == pair.accuracy.p_value


def test_the_run_that_did_best_in_validation_is_compared_with_the_others(three):
    means = []
    for folder in three:
        summary = folder.summary()
        means.append(next(one for one in summary.candidates if one.id == summary.best).cv.accuracy.mean)
    found = compared(*three)
    assert {pair.first for pair in found.pairs} == {int(np.argmax(means))}
    names = [folder.path.name for folder in three]
    text = Page(render(paths_of(three))).all("p", class_="verdict")[0]["text"]
    assert text.startswith(f"{names[int(np.argmax(means))]} reached the highest accuracy")


def test_sentences_say_who_is_ahead_and_how_sure_that_is(three):
    runs = read_runs(paths_of(three))
    worse, *_ = (one for one in pairs.compare_runs(runs).pairs if one.second == 2)
    assert worse.accuracy.verdict == "a"
    said = pairs.sentence(worse, runs)
    assert re.fullmatch(
        r"\w+ was right more often than three on 60 test images, by more than chance explains \(difference \d+\.\d "
        r"points, 95 % interval \d+\.\d to \d+\.\d; p below 0\.001\)\.",
        said,
    ), said
    turned = dataclasses.replace(
        worse,
        first=worse.second,
        second=worse.first,
        only_first=worse.only_second,
        only_second=worse.only_first,
        accuracy=dataclasses.replace(
            worse.accuracy,
            difference=-worse.accuracy.difference,
            ci95=tuple(-end for end in reversed(worse.accuracy.ci95)),
            verdict="b",
        ),
    )
    assert pairs.sentence(turned, runs) == said


def test_runs_that_are_alike_cannot_be_told_apart(two):
    runs = read_runs(paths_of(two))
    [pair] = pairs.compare_runs(runs).pairs
    assert pair.accuracy.verdict == "undecided"
    assert "cannot be told apart on 60 test images (difference" in pairs.sentence(pair, runs)
    same = dataclasses.replace(pair, only_first=0, only_second=0)
    assert "were right on exactly the same of 60 test images" in pairs.sentence(same, runs)
    forecast = dataclasses.replace(pair, needed=1_294)
    assert "; about 1,300 more would be needed." in pairs.sentence(forecast, runs)


def test_classes_in_another_order_are_matched_by_name(two):
    before = compared(*two).pairs
    folder = two[1]
    summary = folder.summary()
    order = [3, 0, 4, 1, 2]
    classes = tuple(summary.dataset.classes[place] for place in order)
    place_of = np.argsort(order)
    blocks = [
        dataclasses.replace(
            block,
            labels=place_of[block.labels],
            probabilities=block.probabilities[:, order],
            logits=block.logits[:, order],
        )
        for block in folder.predictions()
    ]
    folder.write_predictions(blocks, classes)
    folder.write_summary(dataclasses.replace(summary, dataset=dataclasses.replace(summary.dataset, classes=classes)))
    after = compared(*two).pairs
    assert [one.accuracy for one in after] == [one.accuracy for one in before]
    assert [(one.only_first, one.only_second) for one in after] == [(one.only_first, one.only_second) for one in before]


def test_other_classes_make_no_test_but_a_reason(build_run):
    folders = build_run("one", **SMALL), build_run("cats", **SMALL, classes=("daisy", "cat", "dog"))
    found = compared(*folders)
    assert found.pairs == ()
    [apart] = found.apart
    assert apart.reason.startswith("their classes are not the same (only ")
    assert (
        "only one has dandelion, roses, sunflowers, tulips" in apart.reason and "only cats has cat, dog" in apart.reason
    )
    page = Page(render(paths_of(folders)))
    assert not page.all("table", data_on="test")
    assert "No two of these runs have test images in common" in page.all("section", id="tests")[0]["text"]
    missing = page.all("section", id="images")[0]["text"]
    assert "cat: cats" in missing and "roses: one" in missing and "daisy: " not in missing


def test_only_common_images_are_tested_and_that_is_said(two):
    """Ten test images of the second run are other files, two were learned from in it, and one has another label."""
    first, second = two
    tests = [row for row in first.images() if row.split == "test"]
    others = {row.path for row in tests[:10]}
    change_images(
        second, lambda row: dataclasses.replace(row, sha256="e" + row.sha256[1:]) if row.path in others else row
    )
    for place, row in enumerate(tests[20:22]):
        second.write_images(
            [*second.images(), dataclasses.replace(row, path=f"copy-{place}.jpg", split=("train", "validation")[place])]
        )
    relabel(second, tests[30].path)
    [pair] = compared(*two).pairs
    assert (pair.images, pair.whole) == (60 - 10 - 2 - 1, False)
    dropped = others | {row.path for row in tests[20:22]} | {tests[30].path}
    blocks = [of(two[place]) for place in (pair.first, pair.second)]
    kept = np.array([path not in dropped for path in blocks[0].paths])
    right = [(block.probabilities.argmax(axis=1) == block.labels)[kept] for block in blocks]
    assert (pair.only_first, pair.only_second) == (np.sum(right[0] & ~right[1]), np.sum(right[1] & ~right[0]))
    assert pair.aside.startswith("Tested on the 47 test images of both, of 60 in ")
    assert "2 test images of both left out because one of the runs learned from the same picture" in pair.aside
    assert "1 test image of both left out because the label is another one" in pair.aside
    assert pair.aside in Page(render(paths_of(two))).all("section", id="tests")[0]["text"]


def relabel(folder, path):
    """Give one test image of a run another label."""
    classes = folder.summary().dataset.classes
    blocks = []
    for block in folder.predictions():
        labels = block.labels.copy()
        for place in (place for place, one in enumerate(block.paths) if one == path):
            labels[place] = (labels[place] + 1) % len(classes)
        blocks.append(dataclasses.replace(block, labels=labels))
    folder.write_predictions(blocks, classes)


def test_images_that_lie_elsewhere_are_known_by_their_bytes(two):
    before = compared(*two).pairs
    folder = two[1]
    change_images(folder, lambda row: dataclasses.replace(row, path=f"moved/{row.path}"))
    blocks = [
        dataclasses.replace(one, paths=tuple(f"moved/{path}" for path in one.paths)) for one in folder.predictions()
    ]
    folder.write_predictions(blocks, folder.summary().dataset.classes)
    [after] = compared(*two).pairs
    assert after.whole and after.images == 60
    assert after.accuracy == before[0].accuracy


def test_copies_among_the_test_images_all_count(two):
    """Two equal files in the test set are two test images within a study, and so they are here."""
    for folder in two:
        tests = [row for row in folder.images() if row.split == "test" and row.label == "daisy"]
        twin = {tests[3].path: tests[7].sha256}
        change_images(folder, lambda row, twin=twin: dataclasses.replace(row, sha256=twin.get(row.path, row.sha256)))
    [pair] = compared(*two).pairs
    assert (pair.images, pair.whole) == (60, True)


def test_no_and_too_few_common_images_make_no_test(two):
    change_images(two[1], lambda row: dataclasses.replace(row, sha256="d" + row.sha256[1:]))
    found = compared(*two)
    assert found.pairs == () and found.apart[0].reason == "they have no test image in common"
    tests = [row.path for row in two[0].images() if row.split == "test"][:9]
    change_images(
        two[1], lambda row: dataclasses.replace(row, sha256="0" + row.sha256[1:]) if row.path in tests else row
    )
    assert compared(*two).apart[0].reason == "they have only 9 test images in common"


def test_runs_without_images_of_the_best_run_are_tested_among_themselves(three):
    before = compared(*three)
    best = before.pairs[0].first
    change_images(three[best], lambda row: dataclasses.replace(row, sha256="c" + row.sha256[1:]))
    found = compared(*three)
    assert {one.first for one in found.apart} == {best} and len(found.apart) == 2
    [pair] = found.pairs
    assert {pair.first, pair.second} == {0, 1, 2} - {best}


def test_no_pair_with_common_images_is_left_out(three):
    """A shares half of its test images with B, C the other half with B, and A none with C, whoever did best."""
    tests = [row.path for row in three[0].images() if row.split == "test"]
    order = sorted(range(3), key=lambda place: -read_runs(paths_of(three))[place].validation)
    for place, half, letter in ((order[0], tests[::2], "a"), (order[1], tests[1::2], "c")):
        images = [
            row if row.path in half else dataclasses.replace(row, sha256=letter + row.sha256[1:])
            for row in three[place].images()
        ]
        three[place].write_images(images)
    found = compared(*three)
    assert {(pair.first, pair.second) for pair in found.pairs} == {(order[0], order[2]), (order[1], order[2])}
    assert [(one.first, one.second) for one in found.apart] == [(order[0], order[1])]
    assert [pair.images for pair in found.pairs] == [len(tests) // 2] * 2
    raw = sorted(pair.accuracy.p_value for pair in found.pairs)
    adjusted = sorted(pair.accuracy.p_adjusted for pair in found.pairs)
    assert adjusted == pytest.approx([min(1, 2 * raw[0]), min(1, max(2 * raw[0], raw[1]))])


def test_settings_that_differ_are_named_and_no_others(build_run):
    folders = (
        build_run("one", rates=(1e-2, 1e-3)),
        build_run("two", rates=(1e-3, 1e-2), backbones=("mobilenet",)),
        build_run("three", rates=(1e-2, 1e-3), phases=(6,), named=("wide",)),
    )
    rows = {(row.whose, row.key): row.texts for row in differences.setting_rows(read_runs(paths_of(folders)))}
    assert rows["study", "backbone"] == ("mobilenet, mobilenet_v2", "mobilenet", "mobilenet, mobilenet_v2")
    assert rows["study", "head.layers"][2] == "none, dense 64 + dropout 0.5"
    assert ("study", "train.optimizer.learning_rate") not in rows
    assert ("best", "train.batch_size") not in rows and ("study", "name") not in rows
    assert rows["best", "train.epochs"] == ("20", "20", "6")
    assert "epochs: 14, trainable: all" in rows["best", "train.phases"][2] and rows["best", "train.phases"][0] == "none"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "\u2013"),
        ("", "none"),
        ([], "none"),
        (True, "yes"),
        (False, "no"),
        (1e-05, "1e-05"),
        (224, "224"),
        ({"a": "b", "c": 1}, "a: b, c: 1"),
        ([["dense 4", "dropout 0.5"], []], "dense 4 + dropout 0.5, none"),
        (list(range(9)), "9 entries"),
    ],
)
def test_values_are_written_in_words(value, text):
    assert differences.written(value) == text


def test_long_lists_that_differ_read_differently(build_run):
    folders = build_run("one", **SMALL), build_run("two", **SMALL)
    for folder, start in zip(folders, (0, 1), strict=True):
        names = ", ".join(f'"{number}.jpg"' for number in range(start, start + 20))
        folder.write_study(f"[data]\nremove = [{names}]\n\n{folder.study()}")
    rows = differences.setting_rows(read_runs(paths_of(folders)))
    assert [(row.key, row.texts) for row in rows] == [("data.remove", ("20 entries", "20 entries (2)"))]


def test_equal_recipes_have_no_settings_that_differ(build_run):
    folders = build_run("one", **SMALL), build_run("two", **SMALL)
    assert differences.setting_rows(read_runs(paths_of(folders))) == ()
    assert "None: the recipes are the same." in render(paths_of(folders))


def test_facts_that_differ_are_marked(build_run):
    folders = build_run("one", **SMALL), build_run("two", **SMALL, per_class=40, holdout=True, folds=1)
    facts = {fact.title: fact for fact in differences.facts(read_runs(paths_of(folders)))}
    assert facts["Images"].texts == ("300", "200") and facts["Images"].differs
    assert facts["Validation images"].texts == ("\u2013", "40") and facts["Judged by"].texts == ("3 folds", "hold-out")
    assert facts["Test set opened"].texts == ("once", "once") and not facts["Test set opened"].differs
    marked = [one["text"] for one in Page(render(paths_of(folders))).all("tr", class_="differs")]
    assert len(marked) == sum(fact.differs for fact in facts.values())


def test_runs_of_one_name_are_told_apart_by_their_folder(build_run, tmp_path):
    for name in ("monday", "tuesday"):
        (tmp_path / name).mkdir()
    folders = build_run("monday/flowers", **SMALL), build_run("tuesday/flowers", **SMALL, seed=3)
    page = Page(render([*paths_of(folders), build_run("other", **SMALL).path]))
    heads = [one["text"] for one in page.all("th", class_="name", scope="row")]
    assert all(
        heads[place].startswith(name) for place, name in enumerate(("monday/flowers", "tuesday/flowers", "other"))
    )


def test_names_are_as_short_as_they_are_clear():
    assert short_names([Path("/a/x"), Path("/a/y")]) == ("x", "y")
    assert short_names([Path("/a/x/run"), Path("/b/x/run"), Path("/a/y/run")]) == ("a/x/run", "b/x/run", "y/run")


def test_a_name_that_is_no_utf8_can_be_written(build_run, tmp_path):
    first, second = build_run("one", **SMALL), build_run("two", **SMALL, seed=1)
    odd = RunFolder(Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff")))
    try:
        second.path.rename(odd.path)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    page = write_report(odd).read_text("utf-8")
    assert "b\ufffd" in page
    assert "b\ufffd" in write_page([first.path, odd.path], tmp_path / "page.html").read_text("utf-8")


def test_a_run_given_twice_is_refused(two, monkeypatch, tmp_path):
    path = two[0].path
    with pytest.raises(UsageError, match="is given twice"):
        render([path, two[1].path, path])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"The run one is given as .*one and one\. Name each run once\."):
        render([path, Path("one")])


def test_an_unfinished_study_makes_no_page(two, tmp_path):
    (two[1].path / "summary.json").unlink()
    with pytest.raises(RunError, match=r"The study in .*two is not finished"):
        write_page(paths_of(two), tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_the_page_stands_alone(two):
    text = render(paths_of(two))
    page = Page(text)
    assert text.startswith("<!doctype html>") and "://" not in text.partition("<script>")[0]
    script = text.rpartition("<script>")[2].rpartition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = page.all("meta", http_equiv="Content-Security-Policy")[0]["content"]
    assert policy.endswith(f"script-src 'sha256-{digest}'") and "default-src 'none'" in policy
    addresses = [one.get("src") or one.get("href") for one in page.elements if "src" in one or "href" in one]
    assert addresses and all(address.startswith(("data:", "#")) for address in addresses)
    ids = [one["id"] for one in page.elements if "id" in one]
    assert len(ids) == len(set(ids))
    assert all(one["href"][1:] in ids for one in page.all("a") if one["href"].startswith("#"))
    assert all(one["scope"] in ("col", "row") for one in page.all("th")) and len(page.all("h1")) == 1
    assert all(one["role"] == "region" and one["aria-label"] for one in page.all("div", class_="scroll"))


def test_the_data_of_the_tables_can_be_saved(three):
    page, summary = Page(render(paths_of(three))), three[0].summary()
    saved = {one["download"]: rows_in(one["href"]) for one in page.all("a") if "download" in one}
    assert list(saved) == ["runs.csv", "tests.csv", "settings.csv"]
    assert [row["run"] for row in saved["runs.csv"]] == ["one", "two", "three"]
    first = saved["runs.csv"][0]
    assert first["test_accuracy"] == repr(summary.test.accuracy) and first["loss"] == repr(summary.test.loss)
    assert (first["low"], first["high"]) == tuple(map(repr, summary.test.intervals["accuracy"]))
    found = compared(*three)
    mcnemar = [row for row in saved["tests.csv"] if row["method"].startswith("McNemar")]
    assert [row["p_adjusted"] for row in mcnemar] == [repr(pair.accuracy.p_adjusted) for pair in found.pairs]
    assert {row["of"] for row in saved["settings.csv"]} == {"study", "best"}


def rows_in(address):
    text = base64.b64decode(address.partition("base64,")[2]).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_equal_folders_make_equal_bytes_without_keras(two, tmp_path):
    first = render(paths_of(two))
    program = (
        "import sys, pathlib\n"
        "from headstart.report.several import write_page\n"
        "write_page([pathlib.Path(one) for one in sys.argv[2:]], pathlib.Path(sys.argv[1]))\n"
        "heavy = {'keras', 'tensorflow', 'openvino', 'sklearn', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    page = tmp_path / "page.html"
    subprocess.run([sys.executable, "-c", program, page, *paths_of(two)], check=True)
    assert page.read_text(encoding="utf-8") == first


def test_runs_that_did_equally_well_share_the_first_place(build_run, tmp_path):
    folder = build_run("one", **SMALL)
    other = RunFolder(shutil.copytree(folder.path, tmp_path / "two"))
    page = Page(render(paths_of((folder, other))))
    assert len(page.all("tr", class_="best")) == 2
    assert page.all("p", class_="verdict")[0]["text"].startswith("one, two reached the highest accuracy")
    assert "exactly the same of 60 test images" in page.all("ul", class_="stated")[0]["text"]


@pytest.mark.parametrize(
    "settings",
    [
        {"classes": ("cat", "dog"), "perfect": True, "clean": True},
        {"classes": tuple(f"class {number}, rather long in its name" for number in range(40)), "per_class": 10},
        {"holdout": True, "folds": 1, "failed": ("mobilenet-lr0.01",)},
        {"classes": ("<b>bold</b>", "$x_1$ & co", 'say "hi"')},
    ],
    ids=["two classes without a mistake", "forty classes", "hold-out", "odd names"],
)
def test_studies_of_every_kind_stand_side_by_side(build_run, settings):
    folders = build_run("one", **settings), build_run("two", **settings, seed=5, evidence=True)
    page = Page(render(paths_of(folders)))
    assert not [one for one in page.all("b") if one["text"] == "bold"]
    assert len(page.all("table", data_on="test")) == 1


def test_the_page_goes_beside_the_runs_or_into_the_current_folder(tmp_path):
    assert several.default_page([tmp_path / "runs" / "a", tmp_path / "runs" / "b"]) == tmp_path / "runs" / several.PAGE
    assert several.default_page([Path("runs/a"), Path("runs/b")]) == Path("runs") / several.PAGE
    assert several.default_page([tmp_path / "x" / "a", tmp_path / "y" / "b"]) == Path(several.PAGE)


def test_only_pages_of_headstart_are_written_over(two, tmp_path):
    page = tmp_path / "page.html"
    write_page(paths_of(two), page)
    assert write_page(paths_of(two), page) == page
    for content in ("precious", "<!doctype html><title>My \u2013 headstart</title>", ""):
        page.write_text(content)
        with pytest.raises(ReportError, match="is no page of headstart"):
            write_page(paths_of(two), page)
        assert page.read_text() == content
    with pytest.raises(ReportError, match="is a folder"):
        write_page(paths_of(two), tmp_path)


def test_a_report_of_one_run_counts_as_a_page_of_headstart(build_run):
    from headstart.report.page import write_report

    several.check_place(write_report(build_run(**SMALL)))


def test_the_list_of_runs_says_what_their_summaries_say(build_run):
    folder = build_run(evidence=True, failed=("mobilenet-lr0.01",))
    summary = folder.summary()
    [row] = find_runs(folder.path)
    best = next(one for one in summary.candidates if one.id == summary.best)
    assert (row.name, row.state, row.title) == ("run", "done", "Flowers & more")
    assert (row.best, row.recommended, row.images) == (summary.best, summary.recommended, summary.dataset.images)
    assert (row.classes, row.candidates, row.failed) == (5, 4, 1)
    by, accuracy = summary.optimism.selection, best.cv.accuracy
    assert row.validation == Headline(accuracy.mean - by, tuple(min(1.0, end - by) for end in accuracy.ci95))
    assert row.test == Headline(summary.test.accuracy, summary.test.intervals["accuracy"])
    assert (row.seconds, row.finished) == (folder.timings().total_seconds, folder.log_entries()[-1].time)
