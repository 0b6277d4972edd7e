"""From an `Example` to the tokens a model sees and the targets it learns."""
