"""Looks at what a model will see and learn, before it does."""
