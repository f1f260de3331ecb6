"""The catalogue of CNNs: one row per backbone, its pretrained weights, and the networks that Keras lacks."""
