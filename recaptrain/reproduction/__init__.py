"""`recaptrain reproduce`: RECAP and DALL·E 3 in miniature, and whether the audit foretells what training yields.

planting.py   captions whose errors are known
"""
