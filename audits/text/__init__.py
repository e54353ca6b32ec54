"""What a caption is as a text, before it is parsed: its form and its language.

form.py       the form of a caption, and the text in it that the pipeline reads
notations.py  JSON, HTML, LaTeX, escapes, addresses: what is no text in them
markdown.py   Markdown and lines of "key: value", likewise
prompts.py    tags, weights and parameters of image generators
quotations.py what stands between quotation marks
languages.py  which sentences are not English
squeezed.py   the text without its gaps, and where each of its characters stands in the caption
"""

from audits.text.form import FLAGS, LONGEST, Form, read_form
from audits.text.squeezed import Squeezed, squeeze

__all__ = ["FLAGS", "LONGEST", "Form", "Squeezed", "read_form", "squeeze"]
