"""Draw docs/rooms.svg: the rooms of skdim, and which imports from which, read from the code.

Run ``python tools/draw_rooms.py`` after a change of imports between rooms; a test fails until then. A room is a folder
of ``skdim/``. Imports that follow from others are left out: if A imports B and B imports C, no arrow leads from C to A.
"""

import argparse
import ast
from pathlib import Path

import skdim

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "skdim"
OUTPUT = ROOT / "docs" / "rooms.svg"

#: Room -> (column, row, what it holds, what it gives to the next rooms).
ROOMS = {
    "_shared": (0, 0, "files, processes, progress", ""),
    "_chemistry": (1, 0, "elements, formulas", ""),
    "datasets": (0, 5, "bundled, downloaded, synthetic", "structures, labels"),
    "_geometry": (0, 4, "cells and distances, in NumPy", "distances"),
    "_structures": (0, 3, "readers of CIFs, tables, ...", "checked Structures"),
    "_crystals": (0, 2, "the container and its store", "Crystals"),
    "nn": (0, 1, "torch modules and losses", "modules"),
    "baselines": (1, 4, "Magpie, orbital field, X-ray", "features"),
    "_featurizer": (1, 2, "SiteNetFeaturizer", "Crystals"),
    "_training": (1, 1, "batches, the skorch net", "trained networks"),
    "_statistics": (2, 1.75, "composition, structure", "features"),
    "_embedder": (2, 0.75, "DeepInfoMaxEmbedder, weights", "vectors"),
    "_classifier": (4, 0.75, "SiteNetClassifier", "predictions"),
    "_regressor": (3, 0.75, "SiteNetRegressor, transfer", "predictions"),
    "_suggest": (3, 3.4, "what to measure next", "rows of a pool"),
    "_similarity": (3, 1.7, "neighbours, duplicates, domain", "neighbours, groups"),
    "_heads": (2, 3.4, "Gaussian process on blocks", "predictions"),
    "metrics": (3, 3.5, "calibration", "scores"),
    "model_selection": (3, 2.6, "label draws, comparisons", "errors"),
    "inspection": (4, 1.7, "contributions, neighbours", "explanations"),
    "plotting": (4, 2.6, "displays", "figures"),
    "reports": (5, 2.6, "HTML files", "reports"),
    "cli": (4, 4, "the command skdim", "files"),
}
#: Nearly every room imports these: they get no arrows.
FOUNDATIONS = ("_shared", "_chemistry")
WIDTH, HEIGHT = 2.25, 0.82
COLUMN, ROW = 2.95, 1.1


def imports_of_rooms():
    """Room -> sorted rooms that its modules import, also inside functions."""
    rooms = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
    return {room: sorted((_imported_by(room) & set(rooms)) - {room}) for room in rooms}


def _imported_by(room):
    imported = set()
    for file in (PACKAGE / room).rglob("*.py"):
        # A relative import of this many levels leads out of the room.
        levels = len(file.relative_to(PACKAGE).parts)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == levels:
                # "from .. import Crystals" takes a public name from the room where it is defined.
                names = [node.module] if node.module else [skdim._HOMES.get(a.name, a.name) for a in node.names]
                imported |= {name.partition(".")[0] for name in names}
    return imported


def reduced(imports):
    """The imports to draw: without the foundations, and without those that follow from others."""
    imports = {room: set(needed) - set(FOUNDATIONS) for room, needed in imports.items() if room not in FOUNDATIONS}

    def reached(room):
        return set().union(*({other} | reached(other) for other in imports[room]))

    return {room: sorted(needed - set().union(*map(reached, needed))) for room, needed in imports.items()}


def described(imports):
    """The imports as one line of text, which the drawing carries along."""
    return "; ".join(f"{room}: {', '.join(needed)}" for room, needed in imports.items())


def draw(imports, path):
    """Write the drawing of some imports."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    if misplaced := imports.keys() ^ ROOMS.keys():
        raise SystemExit(f"update ROOMS in tools/draw_rooms.py: {', '.join(misplaced)}")
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "skdim", "font.family": "sans-serif"})
    fig, ax = plt.subplots(figsize=(12, 5.6), layout="constrained")
    ax.axis("off")
    ax.set(xlim=(-0.1, 4 * COLUMN + WIDTH + 0.1), ylim=(-0.1, 5 * ROW + HEIGHT + 0.1))
    for room, (column, row, holds, gives) in ROOMS.items():
        _box(ax, column * COLUMN, row * ROW, room, holds, gives)
    for room, needed in reduced(imports).items():
        for other in needed:
            _arrow(ax, ROOMS[other], ROOMS[room])
    legend = "blue: public, green: private, grey: imported by nearly every room (without arrows)"
    ax.text(2 * COLUMN, HEIGHT / 2, legend, va="center", fontsize=8)
    fig.savefig(path, metadata={"Date": None, "Title": "The rooms of skdim", "Description": described(imports)})
    plt.close(fig)
    # matplotlib leaves blanks at the ends of lines, which a commit hook would remove.
    path.write_text("".join(f"{line.rstrip()}\n" for line in path.read_text("utf-8").splitlines()), encoding="utf-8")


def _box(ax, x, y, room, holds, gives):
    from matplotlib.patches import FancyBboxPatch

    color = "#999999" if room in FOUNDATIONS else "#009E73" if room.startswith("_") else "#0072B2"
    style = {"boxstyle": "round,pad=0.02,rounding_size=0.08", "facecolor": f"{color}22", "edgecolor": color}
    ax.add_patch(FancyBboxPatch((x, y), WIDTH, HEIGHT, **style))
    middle = {"ha": "center", "va": "center"}
    ax.text(x + WIDTH / 2, y + 0.62, room, fontsize=10, weight="bold", **middle)
    ax.text(x + WIDTH / 2, y + 0.38, holds, fontsize=7.5, **middle)
    ax.text(x + WIDTH / 2, y + 0.15, gives and f"→ {gives}", fontsize=7.5, color=color, **middle)


def _arrow(ax, start, end):
    """From a room to one that imports it, in a column further right or in the same one."""
    from matplotlib.patches import FancyArrowPatch

    (x, y), (x_end, y_end) = (start[0] * COLUMN, start[1] * ROW), (end[0] * COLUMN, end[1] * ROW)
    if x_end > x:
        points = (x + WIDTH + 0.03, y + HEIGHT / 2), (x_end - 0.03, y_end + HEIGHT / 2)
    else:
        points = (x + WIDTH / 2, y + HEIGHT * (y_end > y)), (x_end + WIDTH / 2, y_end + HEIGHT * (y_end < y))
    style = {"arrowstyle": "-|>", "mutation_scale": 10, "shrinkA": 0, "shrinkB": 0}
    ax.add_patch(FancyArrowPatch(*points, color="0.45", **style))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FILE", help="drawing to write (%(default)s)")
    args = parser.parse_args()
    draw(imports_of_rooms(), args.output)


if __name__ == "__main__":
    main()
