"""The review of a run: what is shown, what is decided, and who may decide."""

import io
import json
import shlex
import shutil
import threading
from pathlib import Path

import pytest
from PIL import Image

from headstart.recipe.lists import read_corrections
from headstart.runs.folder import RunFolder
from headstart.serve import review, runs_app
from headstart.serve.album import open_album
from headstart.serve.limits import Access
from headstart.serve.runs_app import create_runs_app

from .conftest import running
from .run_folders import CONFLICT, COPIES, DOUBTS, NEAR, build_reviewable

JSON = "application/json"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    place = tmp_path_factory.mktemp("review")
    build_reviewable(place / "flowers", place / "photographs")
    return place


class Reviewer:
    """A page of the review, as a program."""

    def __init__(self, live, folder):
        self.live, self.folder = live, RunFolder(folder)
        [run] = live.ask("GET", "/runs.json").json["runs"]
        self.door = f"/runs/{run['id']}"
        self.load()

    def load(self):
        self.told = self.live.ask("GET", f"{self.door}/review.json").json
        self.images = {image["path"]: image for image in self.told["images"]}

    def send(self, *decisions, body=None, kind=JSON, token=None, **headers):
        text = json.dumps({"decisions": list(decisions)}).encode() if body is None else body
        sent = {"X_Headstart_Token": self.told["token"] if token is None else token, **headers}
        return self.live.ask("POST", f"{self.door}/decisions", text, kind, **sent)

    def decide(self, path, action, label=""):
        answer = self.send({"image": self.images[path]["number"], "action": action, "label": label})
        assert answer.status == 200, answer.message
        return answer.json["images"]

    def listed(self):
        return {row.path: row for row in self.folder.doubts()}


@pytest.fixture
def reviewer(built, tmp_path):
    """The review of a copy of the run, on a server of its own."""
    folder = tmp_path / "flowers"
    shutil.copytree(built / "flowers", folder)
    with running(create_runs_app(tmp_path)) as live:
        yield Reviewer(live, folder)


def test_the_cases(reviewer):
    paths = {image["number"]: image["path"] for image in reviewer.told["images"]}
    cases = [(case["kind"], tuple(paths[number] for number in case["images"])) for case in reviewer.told["cases"]]
    doubts = [("doubt", (path,)) for path in DOUBTS]
    assert cases == [("conflict", CONFLICT), *doubts, ("copy", COPIES), ("near", NEAR)]
    first, settled = reviewer.images[DOUBTS[0]], reviewer.images[DOUBTS[3]]
    assert (first["label"], first["suggested"], first["confidence"], first["action"]) == (
        "daisy",
        "dandelion",
        0.99,
        "",
    )
    assert settled["action"] == "keep"
    assert reviewer.told["classes"] == ["daisy", "dandelion", "roses", "sunflowers", "tulips"]
    assert reviewer.told["photographs"] is True
    assert reviewer.told["listed"] is True


def test_the_page(reviewer):
    answer = reviewer.live.ask("GET", f"{reviewer.door}/review")
    assert answer.status == 200
    assert "connect-src 'self'" in answer.headers["content-security-policy"]
    assert reviewer.live.ask("GET", "/static/review.js").status == 200


def test_the_command_is_that_of_the_study_with_the_list_that_is_written(reviewer):
    place = reviewer.folder.path
    expected = ["headstart", "compare", "photographs/flowers", "--learning-rates", "1e-2,1e-3,1e-4"]
    expected += ["--drop", f"{place}/doubts.csv", "--out", f"{place}-corrected"]
    assert shlex.split(reviewer.told["command"]) == expected


def test_where_the_study_was_started_the_command_is_as_it_was_typed(built, tmp_path, monkeypatch):
    shutil.copytree(built / "flowers", tmp_path / "runs" / "flowers")
    monkeypatch.chdir(tmp_path)
    found = review.Review(open_album(RunFolder(tmp_path / "runs" / "flowers")))
    assert "--drop runs/flowers/doubts.csv --out runs/flowers-corrected" in found.command


def test_of_a_study_that_no_compare_started_the_command_names_its_data(built, tmp_path):
    import dataclasses

    folder = RunFolder(Path(shutil.copytree(built / "flowers", tmp_path / "flowers")))
    folder.write_environment(dataclasses.replace(folder.environment(), command=""))
    expected = ["headstart", "compare", str(built / "photographs"), "--drop", str(folder.doubts_file)]
    assert shlex.split(review.Review(open_album(folder)).command) == expected


def test_what_is_decided_is_what_compare_reads(reviewer):
    reviewer.decide(DOUBTS[0], "relabel", "dandelion")
    reviewer.decide(DOUBTS[1], "relabel", "tulips")
    reviewer.decide(DOUBTS[2], "keep")
    reviewer.decide(DOUBTS[4], "drop")
    answer = reviewer.send(*({"image": reviewer.images[path]["number"], "action": "drop"} for path in NEAR[1:]))
    assert [image["action"] for image in answer.json["images"]] == ["drop", "drop"]
    found = read_corrections(reviewer.folder.doubts_file)
    assert set(found.remove) == {DOUBTS[4], *NEAR[1:]}
    assert {DOUBTS[0]: "dandelion", DOUBTS[1]: "tulips"}.items() <= found.relabel.items()
    assert set(found.keep) == {DOUBTS[2], DOUBTS[3]}


def test_the_list_can_be_downloaded(reviewer):
    reviewer.decide(NEAR[0], "drop")
    answer = reviewer.live.ask("GET", f"{reviewer.door}/corrected")
    assert answer.body == reviewer.folder.doubts_file.read_bytes()
    assert answer.headers["content-disposition"] == 'attachment; filename="doubts.csv"'
    assert f"{NEAR[0]},sunflowers,,,drop" in answer.body.decode()


def test_a_decision_can_be_taken_back(reviewer):
    before = reviewer.folder.doubts_file.read_bytes()
    for path, action, label in ((DOUBTS[0], "relabel", "tulips"), (DOUBTS[5], "drop", ""), (NEAR[2], "drop", "")):
        [image] = reviewer.decide(path, action, label)
        assert (image["action"], image["new_label"]) == (action, label)
        [image] = reviewer.decide(path, "")
        assert (image["action"], image["new_label"]) == ("", "")
    assert reviewer.folder.doubts_file.read_bytes() == before


def test_the_first_suggestion_is_remembered(reviewer):
    [image] = reviewer.decide(DOUBTS[0], "relabel", "tulips")
    assert (image["suggested"], image["new_label"]) == ("dandelion", "tulips")
    reviewer.load()
    assert reviewer.images[DOUBTS[0]]["suggested"] == "dandelion"


def test_after_a_restart_the_suggestion_is_still_the_studys(reviewer):
    before = reviewer.folder.doubts_file.read_bytes()
    reviewer.decide(DOUBTS[0], "relabel", "tulips")
    with running(create_runs_app(reviewer.folder.path)) as live:
        other = Reviewer(live, reviewer.folder.path)
        image = other.images[DOUBTS[0]]
        assert (image["suggested"], image["confidence"], image["new_label"]) == ("dandelion", 0.99, "tulips")
        [image] = other.decide(DOUBTS[0], "")
        assert (image["suggested"], image["confidence"], image["new_label"]) == ("dandelion", 0.99, "")
    assert reviewer.folder.doubts_file.read_bytes() == before


def test_a_label_of_people_never_has_the_confidence_of_the_network(reviewer):
    text = reviewer.folder.doubts_file.read_text()
    text = text.replace(f"{DOUBTS[0]},daisy,dandelion,0.99,", f"{DOUBTS[0]},daisy,tulips,0.99,relabel")
    reviewer.folder.doubts_file.write_text(text)
    reviewer.load()
    image = reviewer.images[DOUBTS[0]]
    assert (image["suggested"], image["confidence"], image["new_label"]) == ("", None, "tulips")


@pytest.mark.parametrize("path", [CONFLICT[0], NEAR[0]])
def test_what_is_relabelled_without_a_doubt_is_never_suggested(reviewer, path):
    before = reviewer.folder.doubts_file.read_bytes()
    for first, then in (("relabel", "keep"), ("relabel", "")):
        [image] = reviewer.decide(path, first, "tulips")
        assert (image["suggested"], image["new_label"]) == ("", "tulips")
        [image] = reviewer.decide(path, then)
        assert (image["suggested"], image["action"], image["new_label"]) == ("", then, "")
    assert reviewer.folder.doubts_file.read_bytes() == before


def test_rows_that_are_not_under_review_stay(reviewer):
    before = reviewer.listed()["dandelion/00001.jpg"]
    reviewer.decide(DOUBTS[0], "drop")
    assert before.action == "relabel" and reviewer.listed()["dandelion/00001.jpg"] == before


def test_two_tabs_lose_nothing_and_the_last_word_holds(reviewer):
    other = Reviewer(reviewer.live, reviewer.folder.path)

    def go(tab, paths):
        for path in paths:
            tab.decide(path, "drop")

    tabs = [threading.Thread(target=go, args=one) for one in ((reviewer, DOUBTS[:7]), (other, DOUBTS[7:]))]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()
    assert {path for path, row in reviewer.listed().items() if row.action == "drop"} == set(DOUBTS)
    reviewer.decide(DOUBTS[0], "keep")
    other.load()
    assert other.images[DOUBTS[0]]["action"] == "keep"


def test_what_is_edited_by_hand_meanwhile_is_seen_and_kept(reviewer):
    text = reviewer.folder.doubts_file.read_text()
    text = text.replace(f"{DOUBTS[6]},daisy,dandelion,0.81,", f"{DOUBTS[6]},daisy,dandelion,0.81,drop")
    reviewer.folder.doubts_file.write_text(text)
    reviewer.decide(DOUBTS[7], "keep")
    reviewer.load()
    assert (reviewer.images[DOUBTS[6]]["action"], reviewer.images[DOUBTS[7]]["action"]) == ("drop", "keep")


def test_after_a_study_was_run_again_the_review_is_new(reviewer):
    import dataclasses
    import os

    audit = reviewer.folder.audit()
    reviewer.folder.write_audit(dataclasses.replace(audit, near_duplicates=()))
    os.utime(reviewer.folder.path / "audit.json", ns=(1, 1))
    reviewer.load()
    assert "near" not in {case["kind"] for case in reviewer.told["cases"]}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"token": ""},
        {"token": "guessed"},
    ],
)
def test_nobody_else_may_decide(reviewer, headers):
    before = reviewer.folder.doubts_file.read_bytes()
    answer = reviewer.send({"image": reviewer.images[DOUBTS[0]]["number"], "action": "drop"}, **headers)
    assert answer.status == 403
    assert reviewer.folder.doubts_file.read_bytes() == before


def test_a_site_that_may_ask_may_not_decide(built, tmp_path):
    shutil.copytree(built / "flowers", tmp_path / "flowers")
    friend = "https://friend.example"
    with running(create_runs_app(tmp_path, Access(origins=(friend,)))) as live:
        tab = Reviewer(live, tmp_path / "flowers")
        decision = {"image": tab.images[DOUBTS[0]]["number"], "action": "drop"}
        assert tab.send(decision, Origin=friend).status == 403
        assert tab.send(decision, Origin=f"http://127.0.0.1:{live.port}", Sec_Fetch_Site="same-origin").status == 200


def test_asking_changes_nothing(reviewer):
    before = reviewer.folder.doubts_file.read_bytes()
    assert reviewer.live.ask("GET", f"{reviewer.door}/decisions").status == 405
    assert reviewer.send({"image": 0, "action": "drop"}, kind="text/plain").status == 415
    assert reviewer.folder.doubts_file.read_bytes() == before


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "Send {"),
        (b"[]", "Send {"),
        (b"[" * 190_000, "Send {"),
        (b'{"decisions": ' + b'{"a":' * 30_000, "Send {"),
        (b'{"decisions": 3}', "Send {"),
        (b'{"decisions": []}', "Received: 0"),
        (b'{"decisions": [{"image": 99999, "action": "drop"}]}', "no such image"),
        (b'{"decisions": [{"image": -1, "action": "drop"}]}', "no such image"),
        (b'{"decisions": [{"image": true, "action": "drop"}]}', "no such image"),
        (b'{"decisions": [{"image": "../x", "action": "drop"}]}', "no such image"),
        (b'{"decisions": [{"image": [1], "action": "drop"}]}', "no such image"),
        (b'{"decisions": [{"image": 0, "action": "delete"}]}', "An action is drop, relabel, keep or empty"),
        (b'{"decisions": [{"image": 0, "action": ["drop"]}]}', "An action is"),
        (b'{"decisions": [{"image": 0, "action": "relabel"}]}', "another class of this run"),
        (b'{"decisions": [{"image": 0, "action": "relabel", "label": "weeds"}]}', "another class of this run"),
        (b'{"decisions": [{"image": 0, "action": "relabel", "label": "daisy"}]}', "another class of this run"),
        (b'{"decisions": [{"image": 0, "action": "relabel", "label": {"a": 1}}]}', "another class of this run"),
        (b'{"decisions": [{"image": 299, "action": "drop"}]}', "no such image"),
    ],
)
def test_what_is_no_decision_is_refused_whole(reviewer, body, words):
    before = reviewer.folder.doubts_file.read_bytes()
    answer = reviewer.send(body=body)
    assert answer.status == 422
    assert words in answer.message
    assert reviewer.folder.doubts_file.read_bytes() == before


def test_too_much_at_once(reviewer):
    assert reviewer.send(body=b" " * (runs_app.LARGEST_BODY + 1)).status == 413
    many = [{"image": 0, "action": "drop"}] * (review.MOST_AT_ONCE + 1)
    assert "1 to 1000" in reviewer.send(*many).message


def test_a_list_that_cannot_be_read_is_said(reviewer):
    reviewer.folder.doubts_file.write_text("no table")
    answer = reviewer.send({"image": reviewer.images[DOUBTS[0]]["number"], "action": "drop"})
    assert answer.status == 409
    assert "no longer a CSV table" in answer.message


def colour_of(answer):
    assert answer.headers["content-type"] == "image/jpeg"
    image = Image.open(io.BytesIO(answer.body))
    return image.size, image.convert("RGB").getpixel((5, 5))


def test_photographs_are_shown(reviewer):
    size, colour = colour_of(
        reviewer.live.ask("GET", f"{reviewer.door}/images/{reviewer.images[CONFLICT[0]]['number']}")
    )
    assert size == (60, 40)
    assert colour == pytest.approx((220, 20, 60), abs=8)


@pytest.mark.parametrize("number", ["300", "301", "99999999", "-1", "1.5", "../../doubts", "x", "%2e%2e"])
def test_there_are_no_other_images(reviewer, number):
    assert reviewer.live.ask("GET", f"{reviewer.door}/images/{number}").status == 404


def test_a_file_that_has_changed_is_not_shown(built, tmp_path):
    folder = build_reviewable(tmp_path / "run", tmp_path / "photographs")
    secret = tmp_path / "photographs" / DOUBTS[0]
    secret.write_bytes((tmp_path / "photographs" / CONFLICT[0]).read_bytes())
    (tmp_path / "photographs" / DOUBTS[1]).unlink()
    with running(create_runs_app(folder.path)) as live:
        tab = Reviewer(live, folder.path)
        for path in DOUBTS[:2]:
            answer = live.ask("GET", f"{tab.door}/images/{tab.images[path]['number']}")
            assert answer.status == 404
            assert "not where it was, or has changed" in answer.message
        assert live.ask("GET", f"{tab.door}/images/{tab.images[DOUBTS[2]]['number']}").status == 200


def test_without_the_photographs_the_small_pictures_are_shown(tmp_path):
    folder = build_reviewable(tmp_path / "run", tmp_path / "photographs", galleries=True)
    shutil.rmtree(tmp_path / "photographs")
    small = {row.path for row in folder.pictures() if row.kind == "thumbnail"}
    with running(create_runs_app(folder.path)) as live:
        tab = Reviewer(live, folder.path)
        assert tab.told["photographs"] is False
        there = next(path for path in tab.images if path in small)
        assert live.ask("GET", f"{tab.door}/images/{tab.images[there]['number']}").status == 200


def test_a_path_of_the_image_table_that_leads_elsewhere_shows_nothing(tmp_path):
    import dataclasses

    folder = build_reviewable(tmp_path / "run", tmp_path / "photographs")
    (tmp_path / "secret.txt").write_text("a secret")
    rows = [dataclasses.replace(row, path="../secret.txt") if row.path == DOUBTS[0] else row for row in folder.images()]
    folder.write_images(rows)
    with running(create_runs_app(folder.path)) as live:
        [run] = live.ask("GET", "/runs.json").json["runs"]
        answer = live.ask("GET", f"/runs/{run['id']}/images/0")
        assert answer.status == 404 and b"secret" not in answer.body


def test_a_run_without_doubts_has_nothing_to_review(tmp_path):
    from ..report.conftest import Builder, Sample

    Builder(tmp_path / "run", Sample(clean=True, backbones=("mobilenet",), rates=(1e-2,))).build()
    with running(create_runs_app(tmp_path)) as live:
        tab = Reviewer(live, tmp_path / "run")
        assert tab.told["cases"] == [] and tab.told["images"] == []
        assert tab.told["listed"] is False
        assert live.ask("GET", f"{tab.door}/corrected").status == 404
