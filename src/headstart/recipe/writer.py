"""A recipe as TOML, with every setting resolved."""

from __future__ import annotations

from headstart import storage
from headstart.recipe.published import tables_of
from headstart.recipe.recipe import Recipe


def to_toml(recipe: Recipe) -> str:
    """Return a recipe as TOML text that ``reader`` reads back as the same recipe.

    Candidates stand in full, without grids and defaults. Of published numbers, those of one candidate and part come
    together, in the order of the first of them.
    """
    import tomli_w

    plain = storage.to_plain(recipe)
    plain["candidate"] = plain.pop("candidates")
    plain["published"] = tables_of(recipe.published)
    order = ("name", "title", "source", "unknown", "classes", "precision", "data", "protocol", "candidate", "published")
    return tomli_w.dumps({key: plain[key] for key in order if plain[key] or key != "published"})
