"""recaptrain trains captioners and diffusion models on any dataset revision and measures what the captions changed."""
