"""The embedded sample: scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, for a study without any download."""

from __future__ import annotations

import numpy as np

from headstart.data.assemble import assemble
from headstart.data.facts import scan
from headstart.data.listing import ArraySource, Entry, Listing, indexed_path
from headstart.data.table import ImageTable
from headstart.errors import MissingExtraError
from headstart.progress import SILENT

DIGITS = "digits"


def digits_listing() -> Listing:
    """List the digits as grey images, values 0..16 scaled to 0..255; paths ``digits#0000`` to ``digits#1796``.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "study") from error
    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    entries = tuple(
        Entry(indexed_path(DIGITS, index, len(images)), str(label)) for index, label in enumerate(digits.target)
    )
    return Listing(DIGITS, DIGITS, entries, ArraySource({DIGITS: images}))


def digits_table() -> ImageTable:
    """Return the image table of the digits; raises as ``digits_listing`` does."""
    listing = digits_listing()
    return assemble(listing, scan(listing, cache=None, progress=SILENT))
