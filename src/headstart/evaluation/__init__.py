"""Numbers from labels and probabilities. NumPy, SciPy and scikit-learn only; no Keras, no files."""
