"""How the bundled decoder `tiny` is made: text, tokenizer, curriculum, training, export.

    lexicon -> wording -> story, drills -> sheet -> batch     text, and what of it is learned
    vocabulary, start                                         tokenizer, first weights
    curriculum -> train -> export, check                      the run, its result, and its test

`python -m pretraining --help` tells the commands, docs/tiny.md the whole story. Nothing here is
part of the installed package.
"""
