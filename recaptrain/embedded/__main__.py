"""Make the embedded models: `python -m recaptrain.embedded captioner OUT`, `clip OUT`, and how good they are: `evaluate OUT`."""

from recaptrain.embedded.cli import main

main()
