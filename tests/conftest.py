"""What every test gets: a cache of its own, no weights from the machine's environment, and the command line."""

import io
import sys

import pytest

from headstart import cli


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("HEADSTART_WEIGHTS", raising=False)
    monkeypatch.delenv("HEADSTART_CACHE_LIMIT", raising=False)
    monkeypatch.delenv("HEADSTART_ENGINE", raising=False)


@pytest.fixture
def headstart(monkeypatch, capsys, tmp_path):
    """Run a command line in this process, in a folder of its own; return exit status, stdout and stderr.

    ``listed`` is what comes on standard input.
    """
    monkeypatch.chdir(tmp_path)

    def run(*arguments, listed=b""):
        monkeypatch.setattr(sys, "argv", ["headstart", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(listed)))
        try:
            cli.main()
            status = 0
        except SystemExit as exit_request:
            status = exit_request.code or 0
        return status, *capsys.readouterr()

    return run
