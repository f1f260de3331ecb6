"""A classifier over HTTP: the API, the metrics and the pages. Needs the extra ``serve``; never Keras."""
