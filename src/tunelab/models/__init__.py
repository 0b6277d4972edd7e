"""Checkpoints: bundled names, folders and hub ids, loaded as models."""
