"""Print the section of a version in CHANGELOG.md, as the notes of its release."""

import argparse
import re
from pathlib import Path

CHANGELOG = Path(__file__).resolve().parents[1] / "CHANGELOG.md"


def notes(text, version):
    """The section of a version, without its heading; raises SystemExit if there is none."""
    sections = re.split(r"^## \[(.+?)\].*$", text, flags=re.MULTILINE)
    bodies = dict(zip(sections[1::2], sections[2::2], strict=True))
    if version not in bodies:
        raise SystemExit(f"CHANGELOG.md has no section [{version}]; it has {', '.join(bodies)}")
    return bodies[version].strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", help='as in the changelog, for example "0.1.0"')
    print(notes(CHANGELOG.read_text(encoding="utf-8"), parser.parse_args().version))


if __name__ == "__main__":
    main()
