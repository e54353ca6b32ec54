"""A dataset to read and to write: the local folder, published revisions, and what both are made of.

target.py      opens a dataset to read: a folder (local.py) or a published revision (revision.py), by one protocol (protocol.py)
folder.py      layout, manifest and reading of a local folder
writing.py     opens a folder for writing, after completing what a killed command left
removal.py     `recapdata remove`
loading.py     `recapdata.load`
shards.py      the Parquet files; extents.py says which items of a source an image shard covers
audit_files.py schema, footer and summary of an audit
journal.py     finished batches of a caption shard under way
keys.py        keys in a user's file, and the index of those that a folder holds
digest.py      hashes of Arrow rows
decoding.py    image bytes to pixels
paths.py       opens files by names that somebody else wrote
"""
