"""The list of runs, their reports and classifiers."""

import pytest

from headstart.errors import RunError
from headstart.runs.folder import RunFolder
from headstart.serve import runs_app
from headstart.serve.limits import Access
from headstart.serve.runs_app import create_runs_app

from .conftest import picture, running
from .run_folders import build_reviewable


@pytest.fixture(scope="module")
def place(tmp_path_factory, bird_folder):
    """A folder with a finished run, one that is not finished, and one that is damaged."""
    top = tmp_path_factory.mktemp("runs")
    build_reviewable(top / "deep" / "flowers", top / "photographs", bird_folder)
    unfinished = RunFolder(top / "begun")
    with unfinished.claim("1" * 64):
        unfinished.write_study("")
    damaged = RunFolder(top / "damaged")
    with damaged.claim("2" * 64):
        (damaged.path / "summary.json").write_text("{")
    return top


@pytest.fixture(scope="module")
def client(place):
    with running(create_runs_app(place)) as client:
        yield client


@pytest.fixture(scope="module")
def runs(client):
    return {run["name"]: run for run in client.ask("GET", "/runs.json").json["runs"]}


@pytest.fixture(scope="module")
def flowers(runs):
    return f"/runs/{runs['deep/flowers']['id']}"


def test_the_list_has_every_run_with_its_result(runs, place):
    assert set(runs) == {"deep/flowers", "begun", "damaged"}
    run = runs["deep/flowers"]
    summary = RunFolder(place / "deep" / "flowers").summary()
    assert (run["state"], run["best"], run["images"]) == ("done", summary.best, summary.dataset.images)
    assert run["test"]["accuracy"] == summary.test.accuracy
    assert tuple(run["test"]["ci95"]) == summary.test.intervals["accuracy"]
    assert (run["report"], run["review"], run["classifier"]) == (True, True, True)
    assert runs["begun"]["state"] == "not finished" and not runs["begun"]["report"]
    assert runs["damaged"]["state"] == "damaged" and "cannot be read" in runs["damaged"]["reason"]


def test_the_list_does_not_say_where_the_runs_lie(client, place):
    assert str(place) not in client.ask("GET", "/runs.json").body.decode()


def test_the_page_of_the_list(client):
    answer = client.ask("GET", "/")
    assert answer.status == 200
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert client.ask("GET", "/static/runs.js").status == 200


def test_a_run_itself_can_be_served(place):
    with running(create_runs_app(place / "deep" / "flowers")) as client:
        [run] = client.ask("GET", "/runs.json").json["runs"]
        assert run["name"] == "flowers"
        assert client.ask("GET", f"/runs/{run['id']}/report").status == 200


def test_no_folder_is_an_error(tmp_path):
    with pytest.raises(RunError, match="no folder"):
        create_runs_app(tmp_path / "nowhere")


def test_a_run_that_comes_later_is_found(tmp_path):
    with running(create_runs_app(tmp_path)) as client:
        assert client.ask("GET", "/runs.json").json["runs"] == []
        later = RunFolder(tmp_path / "later")
        with later.claim("3" * 64):
            later.write_study("")
            later.write_report("<!doctype html>later")
        found = runs_app.Shelf(tmp_path).rows()
        assert client.ask("GET", f"/runs/{next(iter(found))}/report").body.decode().endswith("later")


def test_ids_stay_the_same(place, runs):
    assert {runs_app.Shelf(place).run(run["id"]).path.name for run in runs.values()} == {"flowers", "begun", "damaged"}


def test_a_report_is_shown_in_a_sandbox(client, flowers):
    answer = client.ask("GET", f"{flowers}/report")
    assert "<h1>The report</h1>" in answer.body.decode()
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts")
    assert "allow-same-origin" not in policy and "default-src 'none'" in policy


def test_a_run_without_a_report_says_so(client, runs):
    answer = client.ask("GET", f"/runs/{runs['begun']['id']}/report")
    assert answer.status == 404
    assert "headstart report" in answer.message
    assert client.ask("GET", f"/runs/{runs['begun']['id']}/review.json").status == 404
    assert client.ask("GET", f"/runs/{runs['damaged']['id']}/review.json").status == 404


@pytest.mark.parametrize("id_", ["flowers", "deep", "..", "%2e%2e", "..%2f..%2fetc", "0" * 12, "deep%2fflowers", "%00"])
@pytest.mark.parametrize("door", ["report", "review", "review.json", "images/0", "corrected", "classify/classes"])
def test_an_id_is_never_a_path(client, id_, door):
    assert client.ask("GET", f"/runs/{id_}/{door}").status == 404


def test_a_name_of_another_site_is_refused(client, place):
    assert client.ask("GET", "/", Host="elsewhere.example").status == 400
    with running(create_runs_app(place, Access(("photos.example",)))) as other:
        assert other.ask("GET", "/", Host="photos.example").status == 200
        assert other.ask("GET", "/").status == 400


def test_a_classifier_can_be_tried(client, flowers):
    assert client.ask("GET", f"{flowers}/classify").headers["location"] == "classify/"
    assert "What is in your picture?" in client.ask("GET", f"{flowers}/classify/").body.decode()
    assert client.ask("GET", f"{flowers}/classify/static/classifier.js").status == 200
    assert client.ask("GET", f"{flowers}/classify/classes").json["classes"] == ["crow", "jay | magpie", "no"]
    answer = client.ask("POST", f"{flowers}/classify/predict", picture(), "image/png")
    assert answer.json["predictions"][0]["answer"] in ("crow", "jay | magpie", "no")
    answer = client.ask("POST", f"{flowers}/classify/explain", picture(), "image/png")
    assert answer.json["picture"].startswith("data:image/jpeg")


def test_a_run_without_a_classifier_says_so(client, runs):
    answer = client.ask("GET", f"/runs/{runs['begun']['id']}/classify/classes")
    assert answer.status == 404
    assert answer.message == "This run has no classifier. The list at / has the runs that can be tried."


@pytest.mark.parametrize("path", ["/nothing", "/openapi.json", "/health", "/metrics", "/static/nothing.js", "/runs"])
def test_an_unknown_address_names_the_list(client, path):
    answer = client.ask("GET", path)
    assert answer.status == 404
    assert answer.message.endswith("The list of runs at / leads to everything there is.")


def test_an_unknown_address_of_a_classifier_names_its_document(client, flowers):
    answer = client.ask("GET", f"{flowers}/classify/nothing")
    assert answer.status == 404
    assert f"GET {flowers}/classify/openapi.json says" in answer.message
    assert client.ask("GET", f"{flowers}/classify/openapi.json").status == 200


def test_only_the_last_classifiers_are_kept(place, bird_folder, monkeypatch, tmp_path):
    import shutil

    monkeypatch.setattr(runs_app, "LOADED", 1)
    for name in ("one", "two"):
        folder = RunFolder(tmp_path / name)
        with folder.claim("4" * 64):
            shutil.copytree(bird_folder, folder.classifier)
    with running(create_runs_app(tmp_path)) as client:
        ids = [run["id"] for run in client.ask("GET", "/runs.json").json["runs"]]
        for id_ in (*ids, *ids):
            answer = client.ask("POST", f"/runs/{id_}/classify/predict", picture(), "image/png")
            assert answer.status == 200
