"""`tunelab score`: the official metric of a prediction file, without a model."""
