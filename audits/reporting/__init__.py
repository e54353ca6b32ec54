"""`audits report`: one self-contained HTML page of an audit, to be shown, printed and mailed.

survey.py    one pass over the audit shards of a set: lengths, flags, the worst rows and some random ones
gallery.py   the chosen rows with their pictures, boxes and captions of all sets
pictures.py  thumbnails as data URLs within a budget of bytes
charts.py    figures and histograms as coordinates, which the template draws as SVG
tables.py    the summary as tables
page.py      all of it into cards/report.html.j2
"""

from audits.reporting.page import ReportSummary, write_report

__all__ = ["ReportSummary", "write_report"]
