"""The galleries of the page are parsed: their numbers are those of the predictions, their pictures those of media/."""

import base64
import csv
import gzip
import io
import itertools
from pathlib import PurePosixPath

import pytest
from tests.report.test_page import Page, reads_as, values_at

from headstart.report import content, galleries, page
from headstart.runs import folder as run_files
from headstart.runs.decisions import Decision, write_decisions
from headstart.runs.folder import PictureRow

TEN = tuple(f"class {number}" for number in range(10))
LONG = tuple(f"{name} {'very ' * 10}long name" for name in ("cat", "dog"))
KINDS = [
    {},
    {"classes": LONG, "backbones": ("mobilenet",)},
    {"classes": TEN, "per_class": 20, "evidence": True},
    {"classes": tuple(f"class {number}" for number in range(40)), "per_class": 10},
    {"perfect": True},
]


def predictions(folder):
    """Return the rows of the file of predictions, as text."""
    with gzip.open(folder.path / "predictions.csv.gz", "rt", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def drawn(folder, template="galleries.html"):
    """Return one part of the page alone, which takes a tenth of the time of the whole."""
    findings = content.gather(folder)
    documents = {"summary": findings.summary, "audit": findings.audit}
    context = {
        **documents,
        "galleries": galleries.gather(folder, findings),
        "best": content.ranking(findings.summary)[0],
        "files": run_files,
        "listed": page.LISTED,
        "called": {},
        "correcting": None,
    }
    return page.environment(documents).get_template(template).render(context)


def gathered(folder):
    return galleries.gather(folder, content.gather(folder))


def all_cards(found):
    rows = [*found.sure, *found.mistakes, *found.unsure, *(card for pair in found.pairs for card in pair.cards)]
    return rows, [opinion.card for one in found.disagreements for opinion in one.opinions]


@pytest.mark.parametrize("settings", KINDS)
def test_every_probability_is_that_of_the_file(build_run, settings):
    folder = build_run(galleries=True, **settings)
    rows, found = predictions(folder), gathered(folder)
    mine, others = all_cards(found)
    assert mine and bool(others) == (len(folder.summary().finals) > 1 and not settings.get("perfect", False))
    for card in (*mine, *others):
        summed = 0.0
        for bar in card.bars:
            summed += bar.probability
            if bar.others:
                continue
            _, number, column = bar.source.split("/", 2)
            row = rows[int(number)]
            assert (row["path"], row["part"], column) == (card.path, "test", f"p:{bar.name}")
            assert float(row[column]) == bar.probability
            assert (bar.true, bar.said) == (bar.name == row["label"], bar.name == row["predicted"])
            assert (card.true, card.said) == (row["label"], row["predicted"])
        assert summed == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("settings", KINDS)
def test_the_page_shows_the_probabilities_as_they_are_in_the_file(build_run, settings):
    folder = build_run(galleries=True, **settings)
    numbers = [one for one in Page(drawn(folder)).all("data") if one["data-from"].startswith("predictions.csv.gz")]
    mine, others = all_cards(gathered(folder))
    assert len(numbers) == sum(not bar.others for card in (*mine, *others) for bar in card.bars)
    values = values_at(folder, {one["data-from"] for one in numbers})
    for one in numbers:
        assert float(one["value"]) == values[one["data-from"]]
        assert reads_as(one["text"], values[one["data-from"]])


def test_the_best_candidate_speaks_in_its_galleries_and_every_finalist_in_theirs(build_run):
    folder = build_run(galleries=True, backbones=("mobilenet", "mobilenet_v2", "resnet50"))
    rows, found, summary = predictions(folder), gathered(folder), folder.summary()
    mine, _ = all_cards(found)
    assert {rows[int(card.source.split("/")[1])]["candidate"] for card in mine} == {summary.best}
    finalists = [final.candidate for final in summary.finals]
    for one in found.disagreements:
        said = [rows[int(opinion.card.source.split("/")[1])]["candidate"] for opinion in one.opinions]
        assert said == sorted(finalists, key=lambda name: name != summary.best)
        assert one.right == sum(opinion.card.right for opinion in one.opinions) < one.finalists == 3
    names = [opinion.candidate for opinion in found.disagreements[0].opinions]
    assert sorted(names) == ["MobileNet, rate 0.001", "MobileNetV2, rate 0.001", "ResNet50, rate 0.001"]


def test_all_of_eight_classes_have_a_bar_and_of_more_the_most_probable(build_run):
    eight = all_cards(gathered(build_run("eight", galleries=True, classes=TEN[:8])))[0]
    assert all([bar.name for bar in card.bars] == list(TEN[:8]) for card in eight)
    ten = all_cards(gathered(build_run("ten", galleries=True, classes=TEN, per_class=60, backbones=("small_cnn",))))[0]
    for card in ten:
        *named, other = card.bars
        assert len(named) in (5, 6) and other.others == 10 - len(named) and other.source is None
        values = [bar.probability for bar in named]
        assert values == sorted(values, reverse=True) and [bar.name for bar in named if bar.true] == [card.true]
    assert any(len(card.bars) == 7 for card in ten)


def test_every_picture_has_words_and_its_own_bytes(build_run):
    folder = build_run(galleries=True)
    shown, found = Page(drawn(folder)), gathered(folder)
    files = {(row.kind, row.path): folder.picture_bytes(row) for row in folder.pictures()}
    for card in found.mistakes:
        images = shown.all("img", src=card.photograph)
        assert base64.b64decode(card.photograph.partition(",")[2]) == files["photograph", card.path]
        assert base64.b64decode(card.overlay.partition(",")[2]) == files["overlay", card.path]
        assert f"{card.true}, taken for {card.said}, " in images[0]["alt"] and images[0]["alt"].endswith("%")
        assert shown.all("img", src=card.overlay)[0]["alt"] == f"Where it looked: {images[0]['alt']}"
    assert f"{found.sure[0].true}, and said so, " in shown.all("img", src=found.sure[0].photograph)[0]["alt"]


def test_the_switch_is_there_only_with_overlays(build_run, tmp_path):
    folder = build_run(galleries=True)
    shown = Page(drawn(folder))
    assert [one["id"] for one in shown.all("input", name="look")] == ["look-photograph", "look-heat"]
    assert {one.get("for") for one in shown.all("label")} >= {"look-photograph", "look-heat"}
    without = [(row, None if row.photograph is not None else folder.picture_bytes(row)) for row in folder.pictures()]
    folder.write_pictures(one for one in without if one[0].kind != "overlay")
    shown = Page(drawn(folder))
    assert not shown.all("input", name="look") and not shown.all("img", class_="heat")
    assert shown.all("img", class_="photo")


def test_downloads_are_lines_of_the_file(build_run):
    folder = build_run(galleries=True)
    rows, found = predictions(folder), gathered(folder)
    assert set(found.downloads) == {"sure", "mistake", "confused", "unsure", "disagreement"}
    of = {(row["candidate"], row["path"]): row for row in rows if row["part"] == "test"}
    probabilities = [f"p:{name}" for name in folder.summary().dataset.classes]
    for kind, download in found.downloads.items():
        lines = list(csv.DictReader(io.StringIO(download.text)))
        images = len({row.path for row in folder.pictures() if row.kind == kind})
        assert len(lines) == images * (2 if kind == "disagreement" else 1)
        for line in lines:
            row = of[line["candidate"], line["path"]]
            assert (line["label"], line["predicted"]) == (row["label"], row["predicted"])
            assert [float(line[name]) for name in probabilities] == [float(row[name]) for name in probabilities]
    links = [one for one in Page(drawn(folder)).all("a") if one.get("download") == "mistakes.csv"]
    assert len(links) == 1 and links[0]["href"] == found.downloads["mistake"].address


def test_pairs_are_those_of_the_list_and_hold_their_images(build_run):
    folder = build_run(galleries=True)
    found = gathered(folder)
    summary = folder.summary()
    expected = content.confused_pairs(summary.test.confusion_matrix, summary.dataset.classes)
    assert [pair.pair for pair in found.pairs] == list(expected)
    for pair in found.pairs:
        assert 1 <= len(pair.cards) == min(3, pair.pair.count)
        assert {(card.true, card.said) for card in pair.cards} == {(pair.pair.true, pair.pair.predicted)}


def test_empty_galleries_say_so(build_run):
    perfect = drawn(build_run("perfect", galleries=True, perfect=True))
    assert "None: every test image was answered right." in perfect
    assert "None: all finalists name the same class for every test image." in perfect
    assert "Most confused pairs" not in perfect
    one = drawn(build_run("one", galleries=True, backbones=("mobilenet",), rates=(1e-3,)))
    assert "None: there is one finalist, so nothing to compare." in one


def test_the_page_says_whether_the_probabilities_are_calibrated(build_run):
    assert "before calibration with the temperature" in drawn(build_run("with", galleries=True, evidence=True))
    assert "as the network gave them, without calibration" in drawn(build_run("without", galleries=True))


def test_an_older_run_shows_its_mistakes_alone(build_run):
    folder = build_run()
    best = folder.summary().best
    rows = [row for row in predictions(folder) if (row["part"], row["candidate"]) == ("test", best)]
    wrong = [row for row in rows if row["label"] != row["predicted"]][:3]
    kept = [
        (PictureRow("mistake", n, row["path"], row["label"], row["predicted"], 0.5), b"jpeg %d" % n)
        for n, row in enumerate(wrong)
    ]
    folder.write_pictures([*kept, (PictureRow("mistake", 3, "gone.jpg", "roses", "tulips", 0.25), b"jpeg 3")])
    index = folder.path / "media" / "pictures.csv"
    index.write_text("\n".join(line.rpartition(",")[0] for line in index.read_text().splitlines()) + "\n")
    text, found = drawn(folder), gathered(folder)
    assert [card.path for card in found.mistakes] == [*(row["path"] for row in wrong), "gone.jpg"]
    assert [len(card.bars) for card in found.mistakes] == [5, 5, 5, 0]
    assert "Most confident mistakes" in text and "25.0\u202f%" in text
    assert "Least sure" not in text and "The same image under" not in text and 'name="look"' not in text


def test_a_run_without_pictures_has_no_galleries(build_run):
    assert drawn(build_run()).strip() == ""


def test_doubts_have_their_pictures_and_confidences(build_run):
    folder = build_run(galleries=True, evidence=True)
    shown, rows = Page(drawn(folder, "doubts.html")), folder.doubts()
    files = {row.path: folder.picture_bytes(row) for row in folder.pictures() if row.kind == "thumbnail"}
    for number in range(12):
        confidences = shown.all("data", data_from=f"doubts.csv/{number}/confidence")
        assert [float(one["value"]) for one in confidences] == [rows[number].confidence]
        address = "data:image/jpeg;base64," + base64.b64encode(files[rows[number].path]).decode()
        words = [one["alt"] for one in shown.all("img", src=address)]
        assert any(one.startswith(f"Labelled daisy, suggested {rows[number].suggested}, ") for one in words)
    plain = drawn(build_run("plain", evidence=True), "doubts.html")
    assert "Labels that may be wrong" in plain and 'class="thumb"' not in plain


def test_a_label_that_a_person_gave_is_not_shown_as_the_studys(build_run):
    folder = build_run(galleries=True, evidence=True)
    before, row = drawn(folder, "doubts.html"), folder.doubts()[0]
    write_decisions(folder, [Decision(row.path, row.label, "relabel", "somebody's own class")])
    assert drawn(folder, "doubts.html") == before


def test_groups_and_odd_images_have_thumbnails(build_run):
    folder = build_run(galleries=True, evidence=True)
    found, audit = gathered(folder), folder.audit()
    groups = audit.exact_duplicates
    assert [[one.path for one in group] for group in found.pictured(groups)] == [list(group) for group in groups]
    assert found.pictured([("nowhere.jpg",), *groups]) == ()
    words = [one["alt"] for one in Page(drawn(folder, "files.html")).all("img", class_="thumb")]
    for path in {*groups[0], *audit.label_conflicts[0], *(one.path for one in audit.atypical)}:
        assert f"{PurePosixPath(path).parent}: {path}" in words


def test_more_groups_than_pictures_are_listed_by_name(build_run):
    folder = build_run(galleries=True)
    kept = [(row, None if row.photograph is not None else folder.picture_bytes(row)) for row in folder.pictures()]
    folder.write_pictures(one for one in kept if one[0].path != "roses/00004.jpg" or one[0].kind != "thumbnail")
    text = drawn(folder, "files.html")
    section = text[text.index("Equal images") : text.index("Images on two sides")]
    assert section.count('class="thumb"') == 3 and section.count("tulips/00009.jpg</code>") == 1


def test_equal_folders_make_equal_galleries(build_run):
    folder = build_run(galleries=True, evidence=True)
    for template in ("galleries.html", "doubts.html", "files.html"):
        assert drawn(folder, template) == drawn(folder, template)


def test_ids_stay_unique_and_headings_in_order(build_run):
    shown = Page(drawn(build_run(galleries=True, evidence=True)))
    ids = [one["id"] for one in shown.elements if "id" in one]
    assert len(ids) == len(set(ids))
    levels = [int(one["tag"][1]) for one in shown.elements if one["tag"] in ("h1", "h2", "h3", "h4")]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
