"""`recaptrain generate`: prompts → pictures."""
