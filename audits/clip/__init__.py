"""CLIP: scores of captions and sentences, counterfactual captions, and train–inference skew."""
