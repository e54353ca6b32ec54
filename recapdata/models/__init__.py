"""Finding and opening models by name and revision: the Hub, folders, open_clip, embedded weights."""
