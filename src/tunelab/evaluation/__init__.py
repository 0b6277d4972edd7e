"""From a model and examples to predictions, thresholds and scores."""
