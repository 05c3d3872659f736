"""Fuzzing of the readers of formats other than CIF, of compressed files and of tar archives."""

import bz2
import gzip
import io
import json
import lzma
import tarfile

from skdim import SiteNetFeaturizer
from skdim._structures.sources.open_source import open_source
from tests.helpers.mutations import mutated_bytes, mutated_json, mutated_text
from tests.helpers.structure_files import dicts, files, sample, trajectories


def _contents(folder, *names):
    """Contents of sample files, with one or two crystals each, whose names start with one of ``names``."""
    (folder / "written").mkdir(exist_ok=True)
    contents = [files(sample(), folder / "written"), trajectories(sample(), sample(), folder / "written")]
    return [content for named in contents for name, content in named.items() if name.startswith(names)]


def _read(folder, content):
    """As a row, of which the first crystal is read, and as a source, of which all are."""
    path = folder / "mutated"
    path.write_bytes(content)
    SiteNetFeaturizer(disordered="majority", on_error="warn").transform([path])
    raws = [raw for _, raw in open_source(path).read()]
    SiteNetFeaturizer(disordered="majority").transform(raws)


def _texts(*names):
    def make(material, folder):
        seeds = [content.decode() for content in _contents(folder, *names)]

        def mutate(rng):
            return mutated_text(rng, seeds[int(rng.integers(len(seeds)))]).encode(errors="surrogatepass")

        return mutate, lambda content: _read(folder, content)

    return make


def vasp_files(material, folder):
    """POSCAR and XDATCAR files."""
    return _texts("POSCAR", "CONTCAR", "a.vasp", "a.poscar", "XDATCAR")(material, folder)


def xyz_files(material, folder):
    """Extended XYZ files."""
    return _texts("a.extxyz", "a.xyz")(material, folder)


def xsf_files(material, folder):
    """XSF files, also animated ones."""
    return _texts("a.xsf", "b.xsf", "a.axsf")(material, folder)


def res_and_cssr_files(material, folder):
    """RES and CSSR files."""
    return _texts("a.res", "b.res", "a.cssr")(material, folder)


def json_files(material, folder):
    """JSON of pymatgen, entries, OPTIMADE, JARVIS and ASE."""
    seeds = [*dicts(sample()).values(), list(dicts(sample()).values())]
    seeds += [json.loads(content) for content in _contents(folder, "ase.json", "optimade.json")]

    def mutate(rng):
        return mutated_json(rng, seeds[int(rng.integers(len(seeds)))])

    return mutate, lambda content: _read(folder, content)


def ase_trajectories(material, folder):
    """Trajectories of ASE."""
    seeds = _contents(folder, "a.traj")
    return lambda rng: mutated_bytes(rng, seeds[int(rng.integers(2))]), lambda content: _read(folder, content)


def compressed_files(material, folder):
    """CIF and POSCAR files, compressed."""
    plain = _contents(folder, "a.cif", "POSCAR")
    seeds = [compress(content) for content in plain for compress in (gzip.compress, bz2.compress, lzma.compress)]

    def mutate(rng):
        return mutated_bytes(rng, seeds[int(rng.integers(len(seeds)))], 1)

    return mutate, lambda content: _read(folder, content)


def tar_archives(material, folder):
    """tar archives, also compressed."""
    contents = _contents(folder, "a.cif", "POSCAR")
    seeds = []
    for mode in ("w", "w:gz", "w:bz2", "w:xz"):
        with io.BytesIO() as file:
            with tarfile.open(fileobj=file, mode=mode, format=tarfile.PAX_FORMAT) as archive:
                for k, content in enumerate(contents):
                    member = tarfile.TarInfo(f"{k}{'x' * 120 * k}.cif")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
            seeds.append(file.getvalue())

    def mutate(rng):
        # Half of them uncompressed: in a compressed one, nearly every mutation only breaks the compression.
        return mutated_bytes(rng, seeds[0] if rng.random() < 0.5 else seeds[int(rng.integers(1, 4))])

    def read(content):
        (folder / "a.tar").write_bytes(content)
        raws = [raw for _, raw in open_source(folder / "a.tar").read()]
        if raws:
            SiteNetFeaturizer(on_error="warn").transform(raws)

    return mutate, read
