"""`python -m recaptrain.embedded.language`: train the pipeline."""

from recaptrain.embedded.language.pipeline import main

main()
