"""Random mutations of bytes, texts and JSON, as from a faulty disk, a faulty program or an attacker."""

import json
import re

NUMBERS = [
    "0",
    "-1",
    "1e400",
    "-1e400",
    "nan",
    "inf",
    "1e-320",
    "1e308",
    "0.01",
    "180",
    "360",
    "1e6",
    "99999999999999999999",
    "?",
    ".",
    "1(",
    "1.5(3)",
    "0x10",
    "½",
    "-0",
    "1/0",
    "1,5",
]
WORDS = [
    "",
    "''",
    '"',
    "'",
    ";",
    "#",
    "loop_",
    "data_",
    "data_x",
    "_cell_length_a",
    "_atom_site_label",
    "None",
    "null",
    "{",
    "_atom_site_fract_x",
    "Na",
    "Xx",
    "D",
    "Uuo",
    "Na+99",
    "O2-",
    "H-",
    "Fe3+",
    "x,y,z",
    "-x,-y,z+1/2",
    "x,y,z+1/0",
    "P 1",
    "Fm-3m",
    "F m -3 m",
    "true",
    "}",
    "[",
    "\x00",
    "\r",
    "\n\n",
    "\ufeff",
    "é",
    "../../etc/passwd",
    "_",
    "global_",
    "save_",
    "\u2028",
    "\x0b",
    "#END",
    "_symmetry_equiv_pos_as_xyz",
    "_atom_site_occupancy",
    "0.3333",
]
VALUES = [
    None,
    True,
    False,
    0,
    -1,
    1,
    2,
    10**6,
    2**31,
    2**63,
    10**30,
    -(2**63),
    0.5,
    1e308,
    1e-320,
    float("nan"),
    [],
    {},
    [[]],
    float("inf"),
    "",
    "x",
    "nan",
    "1",
    "Na",
    "F32",
    "é\x00",
    [None],
    {"a": 1},
    [1, 2, 3],
    {"@module": "os"},
    "../x",
    [[[[[[1]]]]]],
    "a" * 3000,
    [0] * 3000,
]


def mutated_bytes(rng, content, n_changes=None):
    """Flip, overwrite, delete, repeat, copy and truncate."""
    content = bytearray(content)
    for _ in range(n_changes or int(rng.geometric(0.6))):
        size = len(content)
        at = int(rng.integers(size + 1))
        length = min(size - at, int(rng.geometric(0.1)))
        kind = rng.integers(7)
        if kind == 0 and size > at:
            content[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            content[at : at + length] = rng.bytes(length)
        elif kind == 2:
            del content[at : at + length]
        elif kind == 3:
            content[at:at] = content[at : at + length] * int(rng.integers(1, 4))
        elif kind == 4:
            content[at : at + length] = bytes([int(rng.choice([0, 255, 127, 128]))]) * length
        elif kind == 5 and rng.random() < 0.3:
            del content[at:]
        elif kind == 6:
            other = int(rng.integers(size + 1))
            content[at : at + length] = content[other : other + length]
    return bytes(content)


def mutated_text(rng, text):
    """Change words, lines and characters."""
    for _ in range(int(rng.geometric(0.6))):
        kind = rng.integers(6)
        if kind <= 2:
            words = text.split(" ")
            at = int(rng.integers(len(words)))
            words[at] = str(rng.choice(NUMBERS if kind else WORDS))
            text = " ".join(words)
        elif kind <= 4:
            lines = text.split("\n")
            at, other = (int(k) for k in rng.integers(len(lines), size=2))
            if kind == 3:
                lines[at] = " ".join(str(w) for w in rng.choice(NUMBERS + WORDS, size=int(rng.integers(1, 6))))
            elif rng.random() < 0.5:
                lines[at], lines[other] = lines[other], lines[at]
            else:
                lines[at:at] = lines[other : other + int(rng.integers(1, 5))] * int(rng.integers(0, 3))
                del lines[other : other + int(rng.integers(0, 3))]
            text = "\n".join(lines)
        else:
            text = mutated_bytes(rng, text.encode(errors="surrogatepass"), 1).decode(errors="replace")
    return text


def mutated_values(rng, text):
    """Replace values of a CIF; its syntax stays valid, so that the values are tested, not the parser."""
    values = list(re.finditer(r"'[^'\n]*'(?=\s)|(?<=\s)[^\s_'\"#;$\[\]][^\s'\"]*(?=\s)", text))
    values = [value for value in values if not value[0].lower().startswith(("loop_", "data_"))]
    chosen = rng.choice(len(values), size=min(len(values), int(rng.geometric(0.5))), replace=False) if values else []
    for k in sorted(chosen, reverse=True):
        if rng.random() < 0.6:
            new = str(rng.choice(NUMBERS + WORDS))
        else:
            new = values[int(rng.integers(len(values)))][0].strip("'")
        new = re.sub(r"[\s'\x00]", "", new) or "?"
        text = text[: values[k].start()] + (new if new in ".?" else f"'{new}'") + text[values[k].end() :]
    return text


def mutated_json(rng, value):
    """JSON as bytes, with some values replaced, removed, moved or added; or invalid JSON."""
    value = json.loads(json.dumps(value))
    for _ in range(int(rng.geometric(0.6))):
        places = list(_places(value))
        parent, key = places[int(rng.integers(len(places)))]
        kind = rng.integers(5)
        if kind <= 1:
            parent[key] = json.loads(json.dumps(VALUES[int(rng.integers(len(VALUES)))]))
        elif kind == 2:
            del parent[key]
            if not value:
                break
        elif kind == 3:
            other, its = places[int(rng.integers(len(places)))]
            parent[key] = json.loads(json.dumps(other.get(its) if isinstance(other, dict) else other[its]))
        elif isinstance(parent, dict):
            parent[str(rng.choice(WORDS))] = parent[key]
        else:
            parent.append(parent[key])
    content = json.dumps(value).encode()
    return mutated_bytes(rng, content, 1) if rng.random() < 0.1 else content


def _places(value):
    """Every (container, key) in nested lists and dicts; of long lists the first and the last."""
    keys = list(value) if isinstance(value, dict) else sorted({*range(min(4, len(value))), *range(len(value))[-1:]})
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])
