"""Build the package and check what would be released: `make release-check`.

Builds the sdist and the wheel, lets twine check their metadata and rattler-build render the conda recipe, checks the
content and size of the wheel, installs each of them in an empty virtual environment, and uses it from an empty folder.
Needs build, twine, py-rattler-build and a package index.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Largest wheel, in bytes.
MAX_SIZE = 3_000_000
#: Files that the wheel must contain, besides modules.
DATA = (
    "skdim/py.typed",
    "skdim/_chemistry/elements.csv",
    "skdim/baselines/magpie.csv",
    "skdim/weights/structures/config.json",
    "skdim/weights/structures/weights.safetensors",
    "skdim/weights/structures/README.md",
    "skdim/weights/properties/config.json",
    "skdim/weights/properties/weights.safetensors",
    "skdim/weights/properties/README.md",
)
#: Run with the installed package, outside of the repository.
USE = """
import skdim, skdim.baselines, skdim.datasets, skdim.model_selection, skdim.nn
for name in skdim.__all__:
    getattr(skdim, name)
structures, _ = skdim.datasets.make_crystals(3, random_state=0)
X = skdim.SiteNetFeaturizer().fit_transform(structures)
assert skdim.DeepInfoMaxEmbedder.from_pretrained().transform(X).shape == (3, 192)
assert len(skdim.datasets.load_band_gap().structures) == 1056
assert len(skdim.datasets.load_formation_energy().structures) == 3938
print(skdim.__version__)
"""


def run(*command, **options):
    print("$", *command, flush=True)
    return subprocess.run(list(map(str, command)), check=True, **options)


def check_versions():
    """The version must be the same everywhere, and the changelog must describe it or be open."""
    version = re.search(r'__version__ = "(.+)"', (ROOT / "skdim" / "_version.py").read_text("utf-8"))[1]
    citation = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text("utf-8"), flags=re.MULTILINE)[1]
    if citation != version:
        raise SystemExit(f"CITATION.cff has version {citation}, skdim/_version.py {version}")
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    if f"## [{version}] - " not in changelog:
        print(f"warning: CHANGELOG.md has no section for {version} yet")
    return version


def check_recipe(version):
    """The conda recipe must be valid and render to one package of this version."""
    from rattler_build import Stage0Recipe, VariantConfig

    recipe = ROOT / "conda" / "recipe.yaml"
    variants = Stage0Recipe.from_file(str(recipe)).render(VariantConfig())
    if len(variants) != 1 or f"version='{version}'" not in repr(variants[0]):
        raise SystemExit(f"{recipe.name} renders to {variants}, not to version {version}")
    print(f"{recipe.name}: {variants[0]}")


def check_wheel(wheel):
    """Check content and size of a wheel."""
    names = zipfile.ZipFile(wheel).namelist()
    if foreign := [name for name in names if not re.match(r"skdim/|skdim_crystals-[^/]+\.dist-info/", name)]:
        raise SystemExit(f"{wheel.name} holds files outside of skdim/: {foreign}")
    if tests := [name for name in names if re.search(r"(^|/)(tests?|conftest)[/._]|(^|/)test_", name)]:
        raise SystemExit(f"{wheel.name} holds tests: {tests}")
    if missing := [name for name in DATA if name not in names]:
        raise SystemExit(f"{wheel.name} lacks {missing}")
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "skdim").rglob("*.py")}
    if missing := sources - set(names):
        raise SystemExit(f"{wheel.name} lacks {sorted(missing)}")
    size = wheel.stat().st_size
    if size > MAX_SIZE:
        raise SystemExit(f"{wheel.name} has {size / 1e6:.2f} MB, more than {MAX_SIZE / 1e6} MB")
    print(f"{wheel.name}: {len(names)} files, {size / 1e6:.2f} MB")


def check_install(package, version, constraints):
    """Install a wheel or sdist in an empty environment, and use it in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder, "environment")
        venv.create(environment, with_pip=True)
        python = environment / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        options = ["-c", constraints] if constraints else []
        run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *options, package)
        done = run(python, "-c", USE, cwd=folder, stdout=subprocess.PIPE, text=True)
        if done.stdout.split()[-1] != version:
            raise SystemExit(f"{package.name} installs version {done.stdout}, not {version}")
        run(python, "-m", "skdim", "info", cwd=folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--output", type=Path, default=ROOT / "dist", metavar="FOLDER", help="folder of the built files (dist)"
    )
    parser.add_argument(
        "--constraints",
        type=Path,
        default=ROOT / "constraints.txt",
        metavar="FILE",
        help="versions that pip installs (constraints.txt)",
    )
    parser.add_argument("--no-install", action="store_true", help="build and check the files, but do not install them")
    args = parser.parse_args()

    version = check_versions()
    args.output.mkdir(parents=True, exist_ok=True)
    if old := sorted(args.output.iterdir()):
        raise SystemExit(f"{args.output} is not empty ({old[0].name}, ...): delete it first")
    run(sys.executable, "-m", "build", "--outdir", args.output, ROOT)
    wheel, sdist = next(args.output.glob("*.whl")), next(args.output.glob("*.tar.gz"))
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    check_wheel(wheel)
    check_recipe(version)
    if not args.no_install:
        for package in (wheel, sdist):
            check_install(package, version, args.constraints)
    print(f"skdim {version} can be released: {wheel}, {sdist}")


if __name__ == "__main__":
    main()
