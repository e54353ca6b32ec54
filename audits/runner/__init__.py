"""`audits run`: plan → shards → summary, resumable and streaming."""
