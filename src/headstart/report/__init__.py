"""Run folder -> one offline HTML page. Never imports Keras."""
