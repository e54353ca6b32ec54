"""The spaCy pipeline that captions are parsed with: loading, identity, label schemes."""
