"""audits measures how good captions are: what they say, whether it is true, and what they leave out."""
