"""The page of `recaptrain evaluate --report`: one self-contained HTML file, to be shown, printed and mailed.

tables.py   runs as rows, figures as columns, as RECAP's table has them; all figures with their differences from the first run
curves.py   figures over the checkpoints of a training run, as coordinates that the template draws as SVG; axes.py: their axes
grids.py    the same prompts side by side, the most different first, and some by chance
page.py     all of it into cards/evaluation.html.j2
"""

from recaptrain.evaluation.reporting.page import PAGE, write_page

__all__ = ["PAGE", "write_page"]
