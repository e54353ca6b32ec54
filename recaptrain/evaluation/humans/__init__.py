"""`recaptrain humans`: people compare pictures of the same prompts side by side, or judge each by itself.

settings.py    the options
study.py       folders → questions: pictures paired by prompt, in a random order, sides balanced (pure)
ratings.py     the database of a study: reservations, votes, undo; nothing acknowledged is lost
images.py      pictures as they are shown: encoded anew, under addresses that say nothing
app.py         the web application of the raters, and its page of results
strengths.py   Bradley–Terry strengths from counts of wins
results.py     votes → win rates, Elo, success rates, agreement, with intervals over prompts
page.py        the page of results
jsonl.py       votes as JSON lines, out and in
run.py         the command: serve, or results, export, import
"""
