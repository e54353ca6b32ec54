"""`recaptrain evaluate`: what pictures are worth against their prompts and against real images.

    pictures.py    what is evaluated: a folder of `recaptrain generate`, or real images with their captions
    metrics.py     the protocol of a metric, its statistics, and the table of metrics
    intervals.py   the bootstrap over prompts
    measuring.py   pictures → rows of each metric, kept and resumed
    run.py         rows → figures, tables, comparisons
    settings.py    the options
    stated.py      what prompts state, by the audit's claims: classes, numbers, phrases
    seen.py        what detectors, readers and CLIP see of pictures, once for all metrics
    detected.py    what of a detector's evidence counts
    answers.py     answers of a vision-language model, as probabilities
    sums.py        weighted means
    extractors.py  what makes features, by name (inception.py, dinov2.py), and reference.py the real images to compare with
    frechet.py     the Fréchet distance, and mmd.py the maximum mean discrepancy, of which distributions.py makes FID and its kind
    judge/         verdicts of a vision-language model (`recaptrain judge`)

Every other module is one metric.
"""
