"""`recaptrain judge`: a vision-language model says of each picture whether it shows what was asked for.

protocols.py   what a judge is told and asked, and how its answers are read
scoring.py     verdicts → rates with intervals, in all and by category
"""
