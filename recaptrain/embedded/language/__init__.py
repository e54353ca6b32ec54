"""The recipe of the embedded spaCy pipeline, which reads captions.

pipeline      training: a treebank and captions in, `recapdata/weights/language` out
treebank      trees of sentences, and caption-like variants of them
agreement     captions whose parse is known to be good
wordnet       word vectors and lemmas
grammar       captions with their trees, drawn by rules: words → tokens → noun_phrases → places → verb_phrases → clauses →
              sentences → grammar, a module each; the word lists are `grammar.yaml`
"""
