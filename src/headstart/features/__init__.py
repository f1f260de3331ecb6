"""The frozen side: a backbone's graph, run fast over many images, and the cache of what comes out."""
