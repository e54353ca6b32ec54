"""Tests of `recaptrain.reproduction`."""
