"""A dataset to read and write: a folder or a published revision, its shards, journals, key index, removal, and `load`."""
