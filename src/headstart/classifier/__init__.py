"""The artefact that people keep: saving, loading and using a trained classifier."""
