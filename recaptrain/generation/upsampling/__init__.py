"""`recaptrain upsample`: prompts rewritten by a language model into captions of the kind that an image model was trained on.

    settings.py      the options
    examples.py      captions of a dataset: few-shot examples, their lengths, a sample to compare with
    instructions.py  what the language model is told and shown, and how its answers are read
    run.py           prompts → rewritten prompts, cached and resumed, and their distance from the captions before and after

The model is asked through `recaptrain.chat`.
"""
