"""`python -m recaptrain`, and `accelerate launch -m recaptrain` for several GPUs: the command line as a module."""

from recaptrain.cli import main

main()
