"""`recaptrain judge`: a vision-language model says of each picture whether it shows what was asked for.

    settings.py    the options
    protocols.py   what a judge is told and asked, and how its answers are read
    run.py         pictures → answers, kept and resumed → verdicts
    scoring.py     verdicts → rates with intervals, in all and by category
    summary.py     rates and comparisons of runs, as a table

The judge is asked through `recaptrain.chat`.
"""
