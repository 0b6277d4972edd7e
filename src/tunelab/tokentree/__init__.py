"""Token trees: build, pack, mask, train on, score and generate with shared prefixes."""

from tunelab.tokentree.tree import TokenTree, build_tree

__all__ = ["TokenTree", "build_tree"]
