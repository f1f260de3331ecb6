"""What every test gets: a cache of its own, and no weights from the machine's environment."""

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("HEADSTART_WEIGHTS", raising=False)
    monkeypatch.delenv("HEADSTART_CACHE_LIMIT", raising=False)
    monkeypatch.delenv("HEADSTART_ENGINE", raising=False)
