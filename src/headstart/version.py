"""The version, and nothing else: whoever needs it need not import the Python door."""

__version__ = "0.1.0"
