"""What a version of a dataset holds, and how two versions differ.

contents.py    hashes of keys, columns and captions per shard, published with every version
changes.py     contents × contents → what changed, and the semantic version it calls for
figures.py     audit figures side by side
difference.py  `recapdata diff`: two targets, with examples
"""
