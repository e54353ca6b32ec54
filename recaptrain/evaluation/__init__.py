"""`recaptrain evaluate`: what pictures are worth against their prompts and against real images.

    pictures.py    what is evaluated: a folder of `recaptrain generate`, or real images with their captions
    metrics.py     the protocol of a metric, its statistics, and the table of metrics
    intervals.py   the bootstrap over prompts
    measuring.py   pictures → rows of each metric, kept and resumed
    run.py         rows → figures, tables, comparisons
    settings.py    the options

Every other module is one metric.
"""
