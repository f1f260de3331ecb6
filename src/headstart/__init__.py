"""headstart: which CNN classifies your images best, with the evidence, and the classifier to keep."""

__version__ = "0.1.0"
