"""HTML representation of Crystals in notebooks."""

from __future__ import annotations

from html import escape

import numpy as np

from .._chemistry.elements import SYMBOLS
from .blocks import release_pages

#: Crystals shown from the beginning and from the end, and failures shown.
_N_SHOWN = 5
#: Longest text of a cell, in characters.
_LONGEST = 500
#: Without colours, so that it can be read in light and dark themes.
_STYLE = """<style>.skdim-crystals{overflow-x:auto}
.skdim-crystals td,.skdim-crystals th{vertical-align:top;text-align:left;padding:0.1em 0.8em 0.1em 0}
.skdim-crystals td:first-child{white-space:nowrap}.skdim-crystals .n{text-align:right}</style>"""


def crystals_html(crystals):
    """A table of counts, of the first and last crystals, and of the first failures.

    All texts are escaped. The size does not depend on the number of crystals.

    Parameters
    ----------
    crystals : Crystals

    Returns
    -------
    str
    """
    n_crystals, n_failed = len(crystals), len(crystals.errors_)
    with_plural = f"{_count(n_crystals)} crystal{'' if n_crystals == 1 else 's'}"
    title = f"<b>Crystals</b>: {with_plural}{f', {_count(n_failed)} failed' if n_failed else ''}"
    parts = [f"<div>{title}</div>", _table((), list(_summary(crystals)))]
    if n_crystals:
        parts.append(_shown_crystals(crystals))
    if n_failed:
        parts.append(_shown_failures(crystals))
    return f'{_STYLE}<div class="skdim-crystals">{"".join(parts)}</div>'


def _summary(crystals):
    n_sites = int(crystals.multiplicity.sum(dtype=np.int64))
    present = np.zeros(len(SYMBOLS), dtype=bool)
    present[crystals.numbers] = True
    release_pages(crystals)
    yield "sites", f"{_count(n_sites)} in {_count(len(crystals.numbers))} classes of equal sites"
    yield "pairs", _count(len(crystals.distance))
    if n_sites:
        yield "elements", f"{present.sum()}: {' '.join(np.array(SYMBOLS)[present])}"
    yield "site features", f"{len(crystals.site_features)}: {', '.join(crystals.site_features)}"
    if crystals.settings:
        yield "settings", ", ".join(f"{name}={value!r}" for name, value in crystals.settings.items())
    yield "size", f"{_size(crystals.nbytes)}{' (memory-mapped)' if _is_mapped(crystals) else ''}"


def _shown_crystals(crystals):
    n_crystals = len(crystals)
    rows = list(range(n_crystals))
    if n_crystals > 2 * _N_SHOWN:
        rows = [*rows[:_N_SHOWN], *rows[-_N_SHOWN:]]
    lines = []
    for before, row in zip([-1, *rows], rows, strict=False):
        if row != before + 1:
            lines.append(["…"] + [""] * 4)
        crystal = crystals[row]
        sites = int(crystal.multiplicity.sum(dtype=np.int64))
        counts = [_count(n) for n in (sites, len(crystal.numbers), len(crystal.distance))]
        lines.append([_label(crystals, row), *([crystal.formula(0), *counts] if sites else ["failed", "", "", ""])])
    names = (
        "row" if crystals.index is None else crystals.index.name or "index",
        "formula",
        "sites",
        "classes",
        "pairs",
    )
    return _table(names, lines)


def _shown_failures(crystals):
    rows = sorted(crystals.errors_)
    lines = [[_label(crystals, row), crystals.errors_[row]] for row in rows[:_N_SHOWN]]
    if len(rows) > _N_SHOWN:
        lines.append(["…", f"{_count(len(rows) - _N_SHOWN)} more in errors_"])
    return _table(("failed", "reason"), lines)


def _label(crystals, row):
    return str(row if crystals.index is None else crystals.index[row])


def _table(names, lines, n_texts=2):
    """A table whose columns after the first ``n_texts`` are numbers."""
    head = f"<thead>{_line(names, 'th', n_texts)}</thead>" if names else ""
    return f"<table>{head}<tbody>{''.join(_line(line, 'td', n_texts) for line in lines)}</tbody></table>"


def _line(cells, tag, n_texts):
    kinds = ["" if k < n_texts else ' class="n"' for k in range(len(cells))]
    return f"<tr>{''.join(f'<{tag}{kind}>{_cell(text)}</{tag}>' for kind, text in zip(kinds, cells, strict=True))}</tr>"


def _cell(text):
    text = str(text)
    return escape(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")


def _count(n):
    """A number with thin spaces between thousands."""
    return f"{n:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def _size(n_bytes):
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 1e6 else f"{n_bytes / 1e3:.0f} kB"


def _is_mapped(crystals):
    return isinstance(crystals.distance, np.memmap)
