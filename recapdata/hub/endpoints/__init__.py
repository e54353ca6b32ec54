"""What the Hub answers to, by subject; recapdata/hub/app.py holds the table of addresses."""
