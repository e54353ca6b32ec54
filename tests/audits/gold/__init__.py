"""Gold captions: what a careful reader finds in them, and the figures of the audit against that."""
