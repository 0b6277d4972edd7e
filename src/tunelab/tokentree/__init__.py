"""Token trees: build, pack, mask, train on, score and generate with shared prefixes."""

from tunelab.tokentree.packing import PackedTree, one_by_one, pack
from tunelab.tokentree.tree import TokenTree, build_tree

__all__ = ["PackedTree", "TokenTree", "build_tree", "one_by_one", "pack"]
