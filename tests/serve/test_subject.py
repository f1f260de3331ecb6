"""What is served is told by what lies in the folder."""

import importlib.util
import sys

import pytest

from headstart import cli
from headstart.classifier.bundle import pack
from headstart.errors import ClassifierError, UsageError
from headstart.serve import server
from headstart.serve.limits import Access, Limits
from headstart.serve.subject import read_subject


def read(path):
    return read_subject(path, Limits(), Access())


def test_a_classifier_in_a_folder_or_a_zip_file(bird_folder, tmp_path):
    for path in (bird_folder, pack(bird_folder, tmp_path / "birds.zip")):
        subject = read(path)
        assert subject.description == "tiny for 3 classes: crow, jay | magpie, no"
        assert {"/predict", "/"} <= {route.path for route in subject.app.routes}


def test_what_is_neither_says_so(tmp_path):
    with pytest.raises(UsageError, match="no file or folder"):
        read(tmp_path / "nothing")
    with pytest.raises(UsageError, match="is no classifier and holds no runs"):
        read(tmp_path)
    (tmp_path / "file").write_text("text")
    with pytest.raises(ClassifierError):
        read(tmp_path / "file")


@pytest.mark.parametrize(("place", "description"), [("", "1 run in"), ("one/two", "1 run in")])
def test_a_run_and_a_folder_of_runs(tmp_path, place, description):
    folder = tmp_path / place
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".study").write_text("")
    assert read(tmp_path).description == f"{description} {tmp_path}"


@pytest.mark.parametrize("package", ["starlette", "uvicorn", "python_multipart"])
def test_a_missing_package_names_the_extra(monkeypatch, capsys, package, bird_folder):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else found(name))
    monkeypatch.setattr(sys, "argv", ["headstart", "serve", str(bird_folder)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert (
        f"Error: {package} is not installed. Install it with: pip install 'headstart[serve]'" in capsys.readouterr().err
    )


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_a_server_on_the_network_says_so(monkeypatch, capsys, bird_folder, host, warned):
    def run(app, listener, limits, *, announce):
        with listener:
            announce()

    monkeypatch.setattr(server, "run", run)
    monkeypatch.setattr(sys, "argv", ["headstart", "serve", str(bird_folder), "--host", host, "--port", "0"])
    cli.main()
    out, error = capsys.readouterr()
    assert out.startswith("http://127.0.0.1:")
    assert ("Anybody who can reach this machine over the network can ask" in error) == warned


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--max-megabytes", "0"), "--max-megabytes must be above 0"),
        (("--max-seconds", "-1"), "--max-seconds must be above 0"),
        (("--allow-origin", "example.org"), "such as https://example.org"),
        (("--port", "99999"), "--port"),
    ],
)
def test_bad_options_are_refused_in_one_line(monkeypatch, capsys, option, message, bird_folder):
    monkeypatch.setattr(sys, "argv", ["headstart", "serve", str(bird_folder), *option])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
