"""`recaptrain captioner`: base, human captions, loss, validation, run, card."""
