"""`reading`: a generated reading-comprehension set in the official SQuAD 2.0 form.

English paragraphs about invented ships, towns, companies, scholars, bridges, festivals,
expeditions and lighthouses, with several questions each, a third of them without an answer in
the paragraph although it seems to have one. Two or three entities of a kind share a paragraph, so
that a reader has to attach every value to its entity and its fact.

Names and wordings are held out, to tell reading from remembering: `test` uses names and wordings
(of statements and of questions) that `train` never does; `new-entities` only such names,
`new-wordings` only such wordings. Years, amounts and common words (salt, granite) serve all.

It is no measure of how a model reads human text: the sentences come from templates. It is there
for demonstrations and tests that need no network.

    kinds -> names, scene (what is true, what is told) -> plan, telling -> asking -> document
"""

from tunelab.data.reading.document import DEFAULT_QUESTIONS, SPLITS, VERSION, Split, generate

__all__ = ["DEFAULT_QUESTIONS", "SPLITS", "VERSION", "Split", "generate"]
