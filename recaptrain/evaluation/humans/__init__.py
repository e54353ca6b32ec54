"""`recaptrain humans`: people compare pictures of the same prompts side by side, or judge each by itself.

settings.py     the options
protocols.py    what raters are asked, and what they may answer
study.py        folders → questions: pictures paired by prompt, in a random order, sides balanced (pure)
database.py     the file of a study; nothing acknowledged is lost
ratings.py      raters and votes in it
assignments.py  who is asked what next; voting, skipping, undo
images.py       pictures as they are shown: encoded anew, under addresses that say nothing
app.py          the web application; calls.py and bodies.py are what its page calls and sends
strengths.py    Bradley–Terry strengths from counts of wins
estimates.py    figures with intervals over prompts
tally.py        votes → results.py: win rates, Elo, success rates, agreement, and their tables
page.py         the page of results
jsonl.py        votes as JSON lines, out and in
run.py          the command: serve, or results, export, import
"""
