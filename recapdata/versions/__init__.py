"""What a version of a dataset holds, and how two versions differ.

digest.py      hashes of Arrow rows that do not depend on how a file is cut
contents.py    hashes of keys, columns and captions per shard, published with every version
changes.py     contents × contents → what changed, and the semantic version it calls for
figures.py     audit figures side by side
difference.py  `recapdata diff`: two targets, with examples
"""
