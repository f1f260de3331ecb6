"""Folder or table -> image table -> splits -> pixels. No Keras; scikit-learn only for the embedded sample."""
