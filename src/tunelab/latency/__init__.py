"""How fast a model answers on this machine: measured, and beyond its memory predicted."""
