"""`recaptrain diffusion`: base, latents, loss, run, card."""
