"""Training the tail: many heads at once on cached features, or a whole network from pixels."""
