"""HTML of a report: escaped texts, tables, and the page around them."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from importlib.resources import files

import numpy as np
import pandas as pd

#: Names of files that are not UTF-8 have lone surrogates, which no page can contain; they are written as "\\udcff".
_SURROGATES = "backslashreplace"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>
{css}</style>
</head>
<body>
<h1>{title}</h1>
{body}
<script>{script}</script>
</body>
</html>
"""
_TABLE = """<div class="controls" id="controls" hidden>
<input id="filter" type="search" placeholder="Filter by name or formula" aria-label="Filter by name or formula">
<button id="previous" type="button">Previous</button>
<button id="next" type="button">Next</button>
<span id="count" role="status"></span>
</div>
<noscript><p>This table needs JavaScript, which this file contains and your browser does not run.</p></noscript>
<div class="scroll"><table id="crystals"><thead><tr>{head}</tr></thead><tbody></tbody></table></div>
<script type="application/json" id="crystals-data">{data}</script>"""


def page(title, sections):
    """The whole file.

    Its policy lets a browser run the script of this package only, and load nothing: names from files cannot run code,
    even if they were not escaped.

    Parameters
    ----------
    title : str
    sections : sequence of (heading, html)
        A heading "" has no title.

    Returns
    -------
    bytes
    """
    script, css = (_asset(name) for name in ("report.js", "report.css"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    body = "\n".join(f"{f'<h2>{escape(heading)}</h2>' if heading else ''}\n{html}" for heading, html in sections)
    text = _PAGE.format(title=escape(title), policy=escape(policy), css=css, script=script, body=body)
    return text.encode("utf-8", errors=_SURROGATES)


def paragraph(text, kind="soft"):
    return f'<p class="{kind}">{escape(text)}</p>'


def cards(values):
    """Numbers with a caption each, from a dict."""
    items = "".join(f"<li><b>{escape(str(value))}</b>{escape(name)}</li>" for name, value in values.items())
    return f'<ul class="cards">{items}</ul>'


def figures(parts, *, wide=False):
    """Figures next to each other, from (svg, caption) pairs; the SVG is inserted as it is."""
    items = "".join(f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>" for svg, caption in parts)
    return f'<div class="figures{" wide" if wide else ""}">{items}</div>'


def table(frame):
    """A static table of a DataFrame."""
    columns = _columns(frame)
    head = "".join(f'<th class="{_kind(column)}">{escape(column["name"])}</th>' for column in columns)
    lines = []
    for row in frame.itertuples(index=False):
        cells = (
            f'<td class="{_kind(c)}">{escape(_cell(value, c))}</td>' for value, c in zip(row, columns, strict=True)
        )
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def interactive_table(frame):
    """A table that sorts and filters; its cells are data, which the script inserts as text. One per page."""
    columns = _columns(frame)
    head = "".join(
        f'<th class="{_kind(column)}"><button type="button">{escape(column["name"])}</button></th>'
        for column in columns
    )
    rows = [
        [_value(value, column) for value, column in zip(row, columns, strict=True)]
        for row in frame.itertuples(index=False)
    ]
    data = json.dumps({"columns": columns, "rows": rows}, allow_nan=False, separators=(",", ":"))
    # Inside of a script element, "<" could end it or begin a comment.
    return _TABLE.format(head=head, data=data.replace("<", "\\u003c"))


def number(value, digits=4):
    """A number for people, with a minus sign; "" for NaN."""
    return "" if value is None or not np.isfinite(value) else f"{value:.{digits}g}".replace("-", "\N{MINUS SIGN}")


def _columns(frame):
    return [{"name": str(name), "number": int(_is_number(frame[name]))} for name in frame.columns]


def _is_number(values):
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _kind(column):
    return "number" if column["number"] else "text"


def _cell(value, column):
    if not column["number"]:
        return "" if pd.isna(value) else str(value)
    return f"{value:d}" if isinstance(value, int | np.integer) else number(value)


def _value(value, column):
    if pd.isna(value):
        return None
    if not column["number"]:
        return str(value).encode("utf-8", errors=_SURROGATES).decode("utf-8")
    return int(value) if isinstance(value, int | np.integer) else float(f"{value:.6g}")


def _asset(name):
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
