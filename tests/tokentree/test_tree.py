"""The trie of whole sequences, and who sees whom in it."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tunelab.prompts.encoded import EncodedExample
from tunelab.tokentree import TokenTree, build_tree


def encoded(ids: list[int], targets: int) -> EncodedExample:
    """A sequence whose last `targets` tokens are targets."""
    prompt = max(1, len(ids) - targets)
    flags = [place >= prompt for place in range(len(ids))]
    return EncodedExample(tuple(ids), tuple(flags))


sequences = st.lists(
    st.builds(encoded, st.lists(st.integers(0, 2), min_size=1, max_size=8), st.integers(0, 4)),
    min_size=1,
    max_size=8,
)


@given(sequences)
def test_each_leaf_path_is_its_sequence(examples: list[EncodedExample]) -> None:
    tree = build_tree(examples)
    for example, leaf in zip(examples, tree.leaves, strict=True):
        path = tree.path(int(leaf))
        assert tuple(tree.tokens[path]) == example.ids
        assert list(tree.positions[path]) == list(range(len(path)))


@given(sequences)
def test_every_prefix_stands_once_with_its_targets_counted(examples: list[EncodedExample]) -> None:
    tree = build_tree(examples)
    prefixes = [tuple(tree.tokens[tree.path(place)]) for place in range(len(tree))]
    expected: Counter[tuple[int, ...]] = Counter()
    for example in examples:
        for place, target in enumerate(example.targets):
            expected[example.ids[: place + 1]] += target
    assert len(set(prefixes)) == len(prefixes)
    assert dict(zip(prefixes, tree.weights.tolist(), strict=True)) == dict(expected)


@given(sequences)
def test_a_token_sees_itself_and_its_ancestors_alone(examples: list[EncodedExample]) -> None:
    tree = build_tree(examples)
    for query in range(len(tree)):
        seen = [key for key in range(len(tree)) if key <= query < tree.ends[key]]
        assert seen == tree.path(query).tolist()


def test_questions_on_one_paragraph_share_it() -> None:
    tree: TokenTree = build_tree([encoded([1, 2, 3, 7, 8], 1), encoded([1, 2, 3, 4, 5], 1)])
    assert tree.tokens.tolist() == [1, 2, 3, 4, 5, 7, 8]
    assert tree.parents.tolist() == [-1, 0, 1, 2, 3, 2, 5]
    assert tree.ends.tolist() == [7, 7, 7, 5, 5, 7, 7]
    assert tree.leaves.tolist() == [6, 4]
