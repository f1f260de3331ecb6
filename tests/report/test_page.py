"""The page is parsed: its numbers are those of the run folder, and it asks nothing of anybody."""

import base64
import csv
import gzip
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest

from headstart.errors import MissingExtraError, RunError
from headstart.recipe import PublishedValue
from headstart.report.page import environment, render, write_report
from headstart.runs.folder import RunFolder

SOURCES = ("data-from", "data-less")
DOCUMENTS = ("summary", "timings", "audit")
EMPTY = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "use"}
SCALES = {
    "%": (100,),
    "ms": (1, 1000),
    "s": (1,),
    "/ s": (1,),
    "MB": (1e-6,),
    "kB": (1e-3,),
    "GB": (1e-9,),
    "": (1, 100),
}


class Page(HTMLParser):
    """Elements in order, with their attributes and text; complains about tags that do not match."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        element = {"tag": tag, "text": "", **dict(attributes)}
        self.elements.append(element)
        if tag not in EMPTY:
            self.open.append(element)

    def handle_startendtag(self, tag, attributes):
        self.elements.append({"tag": tag, "text": "", **dict(attributes)})

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag, **attributes):
        """Return the elements of a tag that have these attributes."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [one for one in self.elements if one["tag"] == tag and wanted.items() <= one.items()]


ONE = {"backbones": ("mobilenet",), "rates": (1e-3,)}
NAMED = ("mobilenet-lr0.01-dense-64", "a/long name ~ of a head that was published")
PARTS = {"train": 0.97, "validation": 0.96, "test": 0.95}
PUBLISHED = (
    *(PublishedValue("mobilenet-lr0.01", part, "accuracy", value) for part, value in PARTS.items()),
    *(PublishedValue("mobilenet-lr0.001", part, "loss", 1 - value) for part, value in PARTS.items()),
    PublishedValue("mobilenet-lr0.001", "test", "top_2", 0.9912),
    PublishedValue("mobilenet-lr0.001", "test", "precision", 0.875),
    PublishedValue("mobilenet-lr0.001", "test", "parameters", 3_200_000),
    PublishedValue("mobilenet-lr0.001", "test", "precision:Daisy", 0.94),
    PublishedValue("mobilenet-lr0.001", "test", "tp:Daisy", 383),
    PublishedValue("mobilenet-lr0.001", "test", "confusion_matrix:daisy:daisy", 383),
    PublishedValue("mobilenet-lr0.001", "test", "confusion_matrix:daisy:roses", 17),
    PublishedValue("mobilenet-lr0.001", "test", "confusion_matrix:roses:roses", 400),
    PublishedValue("mobilenet-lr0.001", "validation", "accuracy:fold 2", 0.9617),
    PublishedValue("mobilenet-lr0.001", "train", "accuracy:epoch 3", 0.7),
    PublishedValue("mobilenet-lr0.001", "train", "seconds_per_step", 0.176),
    PublishedValue(NAMED[1], "test", "accuracy", 0.9),
    PublishedValue(NAMED[1], "test", "recall:tulips", 0.9),
)


def page_of(folder):
    return Page(render(folder))


def look_up(documents, pointer):
    value = documents
    for word in (step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")):
        value = None if value is None else value[int(word)] if isinstance(value, list) else value.get(word)
    return value


def values_at(folder, sources):
    """Return the numbers that stand at these places of the run folder's files, None where there is none."""
    documents = {name: json.loads((folder.path / f"{name}.json").read_text()) for name in DOCUMENTS}
    values, wanted = {}, {}
    for source in sources:
        place = re.fullmatch(r"(.+?\.csv(?:\.gz)?)/(\d+)/(.+)", source)
        if place:
            wanted.setdefault(place[1], {}).setdefault(int(place[2]), []).append((place[3], source))
        else:
            values[source] = look_up(documents, source)
    for name, rows in wanted.items():
        with (gzip.open if name.endswith(".gz") else open)(folder.path / name, "rt", encoding="utf-8") as stream:
            lines = csv.reader(stream)
            header = next(lines)
            for number, line in enumerate(lines):
                for column, source in rows.pop(number, ()):
                    cell = line[header.index(column)]
                    values[source] = float(cell) if cell else None
        assert not rows, f"{name} has fewer rows"
    return values


def reads_as(text, value):
    """Tell whether the written text is a rounding of the value."""
    text = text.replace("\u202f", " ").replace("\u2212", "-").replace(",", "")
    if text.startswith((">", "<")):
        limit = float(re.search(r"[\d.]+", text)[0]) / (100 if "%" in text else 1)
        return value > limit if text[0] == ">" else value < limit
    if " min" in text:
        return True
    number, unit = re.fullmatch(r"([-+]?[\d.]+) ?(.*)", text).groups()
    half = 0.5 * 10.0 ** -len(number.partition(".")[2]) * (1 + 1e-9)
    return any(abs(float(number) - value * scale) <= half for scale in SCALES[unit])


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"failed": ("mobilenet-lr0.01",)},
        {"classes": ("cat", "dog")},
        {"perfect": True},
        {"holdout": True, "folds": 1},
        {"named": NAMED, "phases": (6,), "published": PUBLISHED, "failed": (NAMED[1],)},
        {"evidence": True},
        {"evidence": True, "classes": ("cat", "dog"), "backbones": ("mobilenet",), "openings": 2},
        {"evidence": True, "classes": tuple(f"class {n}" for n in range(20)), "per_class": 15},
        {"evidence": True, "holdout": True, "folds": 1},
        {"before": True},
        {"before": True, "evidence": True},
        {"before": True, "named": NAMED, "phases": (6,), "published": PUBLISHED, "failed": (NAMED[1],)},
        {"shared": 20},
        {"evidence": True, "shared": 20},
        {"evidence": True, "shared": 60},
    ],
)
def test_every_number_is_that_of_the_run_folder(build_run, settings):
    folder = build_run(**settings)
    numbers = page_of(folder).all("data")
    assert len(numbers) > 100
    values = values_at(folder, {number[name] for number in numbers for name in SOURCES if name in number})
    for number in numbers:
        value = values[number["data-from"]]
        if "data-less" in number:
            value = min(1.0, max(0.0, value - values[number["data-less"]]))
        if value is None:
            assert (number["value"], number["text"]) == ("", "\u2013")
        else:
            assert float(number["value"]) == value
            assert reads_as(number["text"], value), number


def test_cells_of_tables_are_found_and_compared(build_run):
    folder = build_run(**ONE)
    row = folder.results()[1]
    label = folder.summary().dataset.classes[0]
    probability = folder.predictions().__next__().probabilities[0, 0]
    template = "{{ cell(row.accuracy, 'percent', 'results.csv/1/accuracy') }}{{ cell(none, 'percent', 'x.csv/0/a') }}"
    template += "{{ cell(probability, 'percent', 'predictions.csv.gz/0/p:' ~ label) }}"
    text = environment({}).from_string(template).render(row=row, probability=probability, label=label)
    first, empty, last = Page(text).all("data")
    assert (empty["value"], empty["text"]) == ("", "\u2013")
    values = values_at(folder, [first["data-from"], last["data-from"]])
    assert values == {first["data-from"]: float(first["value"]), last["data-from"]: float(last["value"])}
    assert float(first["value"]) == row.accuracy and reads_as(first["text"], row.accuracy)
    with pytest.raises(AssertionError, match="fewer rows"):
        values_at(folder, ["results.csv/99/accuracy"])


def test_the_verdict_stands_first(build_run):
    folder = build_run()
    summary = folder.summary()
    page = page_of(folder)
    assert page.all("p", class_="verdict")[0]["text"] == summary.verdict
    first = page.all("data")[:3]
    accuracy = [first[0]["value"], *(one["value"] for one in first[1:])]
    assert [float(value) for value in accuracy] == [summary.test.accuracy, *summary.test.intervals["accuracy"]]
    assert "MobileNet" in page.all("h1")[0]["text"]


def test_confusion_matrices_are_those_of_the_run_folder(build_run):
    folder = build_run()
    summary = json.loads((folder.path / "summary.json").read_text())
    classes = summary["dataset"]["classes"]
    said = Counter()
    with gzip.open(folder.path / "predictions.csv.gz", "rt", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if (row["candidate"], row["part"]) == (summary["best"], "out_of_fold"):
                said[row["label"], row["predicted"]] += 1
    final = next(one for one in summary["finals"] if one["candidate"] == summary["best"])
    expected = {
        "test": summary["test"]["confusion_matrix"],
        "out_of_fold": [[said[true, name] for name in classes] for true in classes],
        "train": final["train"]["confusion_matrix"],
    }
    shown = {}
    part = None
    for element in page_of(folder).elements:
        part = element.get("data-part", part)
        if part and element.get("class") == "count":
            shown.setdefault(part, []).append(int(element["text"].replace(",", "")))
    for name, matrix in expected.items():
        assert shown[name][: len(classes) ** 2] == np.array(matrix).ravel().tolist()


def test_per_class_rows_name_the_classes_in_order(build_run):
    folder = build_run()
    text = render(folder)
    rows = re.findall(
        r'<th scope="row" class="name">(\w+)</th>\s*<td><data value="\d+" data-from="summary/test/per', text
    )
    assert tuple(rows) == folder.summary().dataset.classes


def test_nothing_is_asked_of_the_network(build_run):
    folder = build_run(pictures=True)
    text = render(folder)
    assert not re.findall(r"https?://|//[a-z]|@import|<script |<iframe|javascript:|fetch|XMLHttp|eval", text)
    page = Page(text)
    [script] = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = page.all("meta", http_equiv="Content-Security-Policy")[0]["content"]
    assert policy.endswith(f"script-src 'sha256-{digest}'") and "default-src 'none'" in policy
    addresses = [one.get("src") or one.get("href") for one in page.elements if "src" in one or "href" in one]
    assert addresses and all(address.startswith(("data:", "#")) for address in addresses)
    assert not [one for one in page.elements for name in one if name.startswith("on")]


def test_equal_folders_make_equal_bytes(build_run, tmp_path):
    folder = build_run(pictures=True)
    first = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == first
    copied = RunFolder(shutil.copytree(folder.path, tmp_path / "elsewhere" / "run"))
    program = (
        "import sys, pathlib\n"
        "from headstart.report.page import write_report\n"
        "from headstart.runs.folder import RunFolder\n"
        "write_report(RunFolder(pathlib.Path(sys.argv[1])))\n"
        "heavy = {'keras', 'tensorflow', 'openvino', 'sklearn', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program, copied.path], check=True)
    assert copied.report.read_bytes() == first


def test_a_failed_candidate_keeps_its_place_with_the_reason(build_run):
    page = page_of(build_run(failed=("mobilenet-lr0.01",)))
    in_ranking, in_rates = page.all("tr", class_="failed")
    assert "mobilenet-lr0.01" in in_ranking["text"]
    assert "3.1 GB asked for" in in_ranking["text"] and "3.1 GB asked for" in in_rates["text"]
    titles = [one["text"] for one in page.all("title")]
    assert len([title for title in titles if "Loss of mobilenet" in title]) == 3


def test_one_candidate_has_no_charts_of_candidates(build_run):
    page = page_of(build_run(backbones=("mobilenet",), rates=(1e-3,), clean=True))
    titles = [one["text"] for one in page.all("title")]
    assert not [title for title in titles if "learning rate" in title or "time per image" in title]
    measures = ["Accuracy", "Loss", "Precision", "Recall"]
    assert [title for title in titles if "of mobilenet" in title] == [
        f"{name} of mobilenet-lr0.001" for name in measures
    ]
    assert [one["text"] for one in page.all("summary")] == [
        "Precision, Recall of the best candidate, epoch by epoch",
        "MobileNet, average pooling, softmax: 4 layers, 3,233,989 parameters",
    ]


def test_a_hold_out_study_speaks_of_validation_images(build_run):
    folder = build_run(holdout=True, folds=1)
    text = render(folder)
    assert "Hold-out validation" in text and "standard deviation to both sides" not in text
    assert [one["data-part"] for one in Page(text).all("table", class_="matrix")] == ["test", "validation", "train"]
    assert "±" not in text
    assert '<th scope="col">validation</th>' in text


def test_no_mistake_is_said(build_run):
    text = render(build_run(perfect=True, clean=True))
    assert "It made no mistake on the test images." in text
    assert "taken for <b>" not in text


def test_names_of_any_kind_are_shown_as_they_are(build_run):
    names = ("<b>bold</b>", "$x_1$ & co", 'say "hi"', "日本", "x" * 60)
    page = page_of(build_run(classes=names, pictures=True))
    assert not [one for one in page.all("b") if one["text"] == "bold"]
    headings = [one["text"] for one in page.all("th", title=names[0])]
    assert headings == [names[0]] * 3
    assert {name for name in names if page.all("th", title=name)} == set(names)


def test_pictures_have_words(build_run):
    page = page_of(build_run(pictures=True))
    images = page.all("img")
    assert len(images) == 30
    assert all(one["src"].startswith("data:image/jpeg;base64,") and one["alt"] for one in images)
    plain = render(build_run("plain", backbones=("mobilenet",), rates=(1e-3,)))
    assert "<img" not in plain and "What the images look like" not in plain


def test_the_page_can_be_read_without_seeing_it(build_run):
    page = page_of(build_run(pictures=True))
    ids = [one["id"] for one in page.elements if "id" in one]
    assert len(ids) == len(set(ids))
    for element in page.elements:
        assert set(element.get("aria-labelledby", "").split()) <= set(ids)
        if element.get("href", "").startswith("#"):
            assert element["href"][1:] in ids
    assert all(one["role"] == "img" and one["aria-labelledby"] for one in page.all("svg"))
    descriptions = [one["text"] for one in page.all("desc")]
    assert len(descriptions) == len(page.all("svg")) and all(re.search(r"\d", text) for text in descriptions)
    assert all(one["scope"] in ("col", "row") for one in page.all("th"))
    assert len(page.all("h1")) == 1 and page.all("html", lang="en")


def test_data_notes_are_told(build_run):
    text = render(build_run())
    for words in ("daisy/torn.jpg", "cut short", "1 picture under more than one label", "train and test:"):
        assert words in text
    assert "Files set aside" not in render(build_run("clean", backbones=("mobilenet",), rates=(1e-3,), clean=True))


def test_how_to_repeat_is_told(build_run):
    folder = build_run()
    texts = [one["text"] for one in page_of(folder).all("pre")]
    assert texts[0] == "headstart predict run/classifier new-photograph.jpg more-photographs/"
    assert texts[1] == folder.environment().command
    assert texts[2].strip() == folder.study().strip()


def test_an_unfinished_study_has_no_report(build_run):
    folder = build_run()
    (folder.path / "summary.json").unlink()
    with pytest.raises(RunError, match="not finished"):
        write_report(folder)
    assert not folder.report.exists()


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_a_missing_package_is_named(build_run, monkeypatch, package):
    folder = build_run()
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"{package} is not installed.*headstart\[study\]"):
        write_report(folder)


def test_no_published_number_makes_no_section(build_run):
    page = page_of(build_run(**ONE))
    assert "Published" not in "".join(one["text"] for one in page.all("h2"))
    assert not page.all("section", id="published") and not page.all("a", href="#published")


def rows_of(page, words):
    """Return the texts of the cells of the first table whose caption says these words, row by row."""
    start = next(n for n, one in enumerate(page.elements) if one["tag"] == "caption" and words in one["text"])
    rows = []
    for element in page.elements[start + 1 :]:
        if element["tag"] == "caption":
            break
        if element["tag"] == "tr":
            rows.append([])
        if element["tag"] in ("th", "td"):
            rows[-1].append(element["text"].strip())
    return rows


def test_published_numbers_stand_beside_those_found_here(build_run):
    folder = build_run(
        backbones=("mobilenet",),
        named=NAMED,
        published=PUBLISHED,
        failed=(NAMED[1],),
        unknown=("the seed & the folds",),
    )
    page, summary = page_of(folder), folder.summary()
    assert page.all("a", href="#published")
    (section,) = page.all("section", id="published")
    for words in ("Flowers & more", "Somebody, 2020", "the seed & the folds", "16 of 19 published numbers"):
        assert words in section["text"]
    rows = rows_of(page, "Accuracy, Loss, Top 2")
    assert rows[2][:5] == ["mobilenet-lr0.01", "training", "97.00\u202f%", *here(summary, 0)]
    assert rows[4] == ["test", "95.00\u202f%", "not measured here", "", ""]
    assert rows[-1] == [NAMED[1], "test", "90.00\u202f%", "not measured here", "", ""]
    assert "Precision, macro" in section["text"]


def here(summary, place):
    value = summary.published[place]
    return f"{100 * value.here:.2f}\u202f%", f"{100 * value.difference:+.1f}".replace("-", "\u2212")


def test_published_numbers_of_classes_and_folds_have_their_tables(build_run):
    folder = build_run(backbones=("mobilenet",), named=NAMED, published=PUBLISHED, failed=(NAMED[1],))
    page, summary = page_of(folder), folder.summary()
    daisy = next(final for final in summary.finals if final.candidate == "mobilenet-lr0.001").test.per_class[0]
    rows = rows_of(page, "Class by class, test images; the small")
    assert rows[0] == ["Class", "Whose", "TP", "Precision"]
    assert rows[1] == ["Daisy", "published", "383", "94.00\u202f%"]
    assert rows[2][1].startswith(str(daisy.tp)) and rows[2][2].startswith(f"{100 * daisy.precision:.2f}")
    rows = rows_of(page, "Fold by fold")
    assert rows[1] == ["fold 2", "published", "96.17\u202f%"]
    cv = next(one for one in summary.candidates if one.id == "mobilenet-lr0.001").cv
    assert rows[2] == ["here", f"{100 * cv.accuracy.folds[1]:.2f}\u202f%"]
    rows = rows_of(page, "Epoch by epoch, means over the folds")
    values = [row.accuracy for row in folder.history() if (row.candidate, row.epoch) == ("mobilenet-lr0.001", 3)]
    assert rows[2][1].startswith(f"{100 * np.mean(values[:3]):.2f}")
    rows = rows_of(page, "Confusion matrix, test images: above")
    assert [row[0] for row in rows[1:]] == ["daisy", "roses"]
    assert rows[2][1] == "" and rows[2][2].startswith("400")
    assert rows_of(page, "Class by class, test images: not measured")[1] == ["tulips", "90.00\u202f%"]
    assert (
        len([one for one in page.all("details") if one["text"].strip().startswith(("MobileNet, rate", NAMED[1]))]) == 2
    )


def test_many_published_rows_that_were_not_measured_are_folded_away(build_run):
    others = tuple(PublishedValue(f"other {n}", "test", "accuracy", 0.9) for n in range(9))
    known = PublishedValue("mobilenet-lr0.001", "test", "accuracy", 0.9)
    page = page_of(build_run(**ONE, published=(known, *others)))
    assert "Not measured here: 9 more rows of Accuracy" in [one["text"] for one in page.all("summary")]
    assert len(rows_of(page, "Accuracy, not measured here")) == 2 + 9
    (section,) = page.all("section", id="published")
    assert section["text"].count("not measured here") >= 9
    few = page_of(build_run("few", **ONE, published=(known, *others[:3])))
    assert [row[0] for row in rows_of(few, "Accuracy")[3:6]] == ["other 0", "other 1", "other 2"]
    assert not [one for one in few.all("summary") if "Not measured" in one["text"]]


def test_the_borders_of_phases_are_drawn_and_said(build_run):
    page = page_of(build_run(**ONE, phases=(6, 12)))
    panels = [one["text"] for one in page.all("svg") if "Loss of mobilenet-lr0.001" in one["text"]]
    assert len(panels) == 1
    assert "Phase 2 begins after epoch 6. Phase 3 begins after epoch 12." in panels[0]
    texts = [one["text"] for one in page.all("text")]
    assert texts.count("phase 2") == texts.count("phase 3") > 1
    assert "a phase ends, the next begins" in render(build_run("again", **ONE, phases=(6,)))
    plain = render(build_run("plain", **ONE))
    assert "Phase 2" not in plain and "a phase ends" not in plain


def test_later_phases_and_steps_stand_in_the_table_of_costs(build_run):
    page = page_of(build_run(**ONE, phases=(6,)))
    (step,) = [one for one in page.all("data") if one["data-from"].endswith("milliseconds_per_step")]
    assert step["text"] == "7.5\u202fms"
    assert [one["text"] for one in page.all("small") if one["text"].startswith("then")] == ["then 3,212,101"]


def test_changed_copies_stand_beside_their_original(build_run):
    page = page_of(build_run(**ONE, pictures=True, augmented=True))
    copies = [one["alt"] for one in page.all("img") if "/00001.jpg" in one["alt"] and "," in one["alt"]]
    operations = ["original", "flip", "zoom 0.2 + shift 20", "contrast 0.3"]
    expected = [f"{label}, {name}: {label}/00001.jpg" for label in ("daisy", "dandelion") for name in operations]
    assert copies == expected
    assert "What augmentation makes of them" not in render(build_run("plain", **ONE, pictures=True))


def test_candidates_that_share_network_and_rate_bear_their_own_names(build_run):
    page = page_of(build_run(backbones=("mobilenet",), named=NAMED))
    names = [one["text"] for one in page.all("th", class_="name", scope="row")]
    ranking = " ".join(names[:4])
    for name in ("mobilenet-lr0.01\n", NAMED[0], NAMED[1], "dense 64, dropout 0.5", "MobileNet, rate 0.001"):
        assert name in ranking
    assert not any(text.startswith("MobileNet, rate 0.01\n") for text in names)
    assert not page.all("p", class_="own")


def test_a_winner_that_shares_network_and_rate_is_named(build_run):
    folder = build_run(**ONE, named=("other",))
    (own,) = page_of(folder).all("p", class_="own")
    assert own["text"] == folder.summary().best


CHROMIUM = shutil.which("chromium")


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")
def test_the_page_never_scrolls_sideways(build_run):
    names = tuple(f"a rather long name of class {number}" for number in range(12))
    long = ("mobilenet-lr0.01-adam-random-last4-image256-dense1024", "x" * 70)
    published = (*PUBLISHED, *(PublishedValue(name, "test", "accuracy", 0.9) for name in long))
    settings = {
        "pictures": True,
        "augmented": True,
        "evidence": True,
        "named": long,
        "published": published,
        "phases": (4, 5),
    }
    report = write_report(build_run(classes=names, per_class=20, **settings))
    report.write_text(report.read_text().replace("<details", "<details open"))
    measure = "let page=this.contentDocument.documentElement;this.title=page.scrollWidth-page.clientWidth"
    frames = [
        f'<iframe src="{report.name}" style="width:{width}px;height:900px" onload="{measure}"></iframe>'
        for width in (400, 800, 1440)
    ]
    report.with_name("frames.html").write_text("".join(frames))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--dump-dom"]
    options += ["--allow-file-access-from-files", "--virtual-time-budget=4000"]
    command = [CHROMIUM, *options, report.with_name("frames.html").as_uri()]
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert re.findall(r'title="(-?\d+)"', dumped) == ["0", "0", "0"]
