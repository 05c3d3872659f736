"""Tasks of Matbench v0.1 with structures, and their five folds."""

from __future__ import annotations

import hashlib
import math
import os
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ._fetch import fetch_file
from ._tables import read_table
from ._url_dataset import structures_of, target_of

if TYPE_CHECKING:
    from sklearn.utils import Bunch

URL = "https://ml.materialsproject.org/projects"
N_FOLDS, SEED = 5, 18012019
#: A crystal of 30 sites takes some 3000 bytes in these files.
_MAX_BYTES_A_ROW = 2**14


class Task(NamedTuple):
    """Facts about a task, as published by Matbench and matminer."""

    n_rows: int
    target: str
    unit: str | None
    sha256: str
    #: sha256 of the test fold of each row, as bytes, from Matbench's file of splits. The two elastic tasks have equal
    #: crystals.
    folds_sha256: str
    what: str


TASKS = {
    "dielectric": Task(
        4764,
        "n",
        "unitless",
        "83befa09bc2ec2f4b6143afc413157827a90e5e2e42c1eb507ccfa01bf26a1d6",
        "75ce477812f494b8b1e0199e21c1226dd8b4edcdc05e93fecdb112085a50ab12",
        "refractive index, from density functional perturbation theory (Petousis et al. 2017)",
    ),
    "jdft2d": Task(
        636,
        "exfoliation_en",
        "meV/atom",
        "26057dc4524e193e32abffb296ce819b58b6e11d1278cae329a2f97817a4eddf",
        "72e2b4bc7ea4df679c2b76cd181fc1da157db1f8a8a3c7ae22bbc0d59d41467b",
        "energy to peel a layer off, of the JARVIS database (Choudhary et al. 2017)",
    ),
    "log_gvrh": Task(
        10987,
        "log10(G_VRH)",
        "log10(GPa)",
        "098af941f4c663270f1fe21abf20ffad6fb85ecbfcba5786ceac03983ac29da7",
        "d4f1c38e786d9d8f0e0b75357b99c60f5918f9330f524bca90cc2b755d58ad4c",
        "decimal logarithm of the shear modulus, Voigt-Reuss-Hill average (de Jong et al. 2015)",
    ),
    "log_kvrh": Task(
        10987,
        "log10(K_VRH)",
        "log10(GPa)",
        "44b113ddb7e23aa18731a62c74afa7e5aa654199e0db5f951c8248a00955c9cd",
        "d4f1c38e786d9d8f0e0b75357b99c60f5918f9330f524bca90cc2b755d58ad4c",
        "decimal logarithm of the bulk modulus, Voigt-Reuss-Hill average (de Jong et al. 2015)",
    ),
    "mp_e_form": Task(
        132752,
        "e_form",
        "eV/atom",
        "dedcb1d4ba2e3e50dbdd45ba5bc647a00e9c2bcf8f8bf556dc8e92caa39eb21f",
        "86b3e1f495cbebb05e4ff38810580badafe752a7654a80e8ba20ab7b2f25c75c",
        "formation energy, of the Materials Project (Jain et al. 2013)",
    ),
    "mp_gap": Task(
        106113,
        "gap pbe",
        "eV",
        "58b65746bd88329986ed66031a2ac1369c7c522f7bc9f9081528e07097c2c057",
        "0e4e0dea8fbe7235e1b18ccf80eb6e42282948faf694a6280f97ca25614f74f8",
        "band gap of the PBE functional, of the Materials Project (Jain et al. 2013)",
    ),
    "mp_is_metal": Task(
        106113,
        "is_metal",
        None,
        "9a028ed5750a4c76ca36e9f3c8d48fe0bf3fb21b76ec2289e58ae7048d527919",
        "f56b0fe045c298c40b12bf55b88aed0e178e3ccd8e7d401fe8f139b5a04fb0f8",
        "whether it is a metal, of the Materials Project (Jain et al. 2013)",
    ),
    "perovskites": Task(
        18928,
        "e_form",
        "eV/unit cell",
        "4641e2417f8ec8b50096d2230864468dfa08278dc9d257c327f65d0305278483",
        "78012772e6affd65d33b5f817c88b243facb10b86f5de2229216ebe3bfeeb069",
        "heat of formation of a cell of five atoms, RPBE functional, oxygen as in water vapour (Castelli et al. 2012)",
    ),
    "phonons": Task(
        1265,
        "last phdos peak",
        "cm^-1",
        "4db551f21ec5f577e6202725f10e34dfc509aa7df3a6bdaac497da7f6dbbb9b3",
        "5139ec1c5736bd95d40a2bdbc2a0d28d85f010f59af0d000353e96eb3a776c6b",
        "frequency of the last peak of the phonon density of states (Petretto et al. 2018)",
    ),
}


def fetch_matbench(
    task,
    fold=0,
    data_home=None,
    *,
    download_if_missing=True,
    base_url=None,
    n_retries=3,
    delay=1.0,
    timeout=30.0,
    verbose=0,
    return_X_y=False,
) -> Bunch:
    """Download a task of Matbench v0.1, with its five folds.

    Matbench [1]_ compares models on fixed data and fixed folds. 9 of its 13 tasks have structures:

    ===============  =========  ================================  ============
    task             crystals   target                            unit
    ===============  =========  ================================  ============
    ``jdft2d``       636        exfoliation energy                meV/atom
    ``phonons``      1265       last peak of the phonons' states  cm^-1
    ``dielectric``   4764       refractive index                  none
    ``log_gvrh``     10 987     log10 of the shear modulus        log10(GPa)
    ``log_kvrh``     10 987     log10 of the bulk modulus         log10(GPa)
    ``perovskites``  18 928     heat of formation                 eV/unit cell
    ``mp_gap``       106 113    band gap, PBE                     eV
    ``mp_is_metal``  106 113    is it a metal?                    class
    ``mp_e_form``    132 752    formation energy                  eV/atom
    ===============  =========  ================================  ============

    The file is downloaded once, kept in ``data_home``, and verified by matminer's sha256 at each call. No code from it
    is executed. The folds are verified to be those of Matbench. They are random: unlike in the bundled data sets,
    polymorphs of one formula are in both training and test set.

    Parameters
    ----------
    task : str
        One of the above, with or without the prefix ``"matbench_"``.
    fold : int, default=0
        Fold of ``train`` and ``test``, 0 to 4.
    data_home : str or path-like, default=None
        Folder of the file, see :func:`get_data_home`.
    download_if_missing : bool, default=True
        False never uses the network, and raises FileNotFoundError if the file is missing.
    base_url : str, default=None
        URL of the folder with ``matbench_TASK.json.gz``; None takes the environment variable ``SKDIM_MATBENCH_URL``, or
        Matbench's server. A mirror must have identical files.
    n_retries, delay, timeout, verbose
        As in :func:`fetch_file`.
    return_X_y : bool, default=False
        Return ``(structures, target)`` of all folds instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the following attributes.

        structures : list of :class:`pymatgen.core.Structure`, length n_crystals
            The crystals, in Matbench's order; lengths in angstrom.
        target : ndarray of shape (n_crystals,), float or bool
            Values to predict.
        target_name : str
            Name of the target in Matbench.
        unit : str or None
            Unit of the target; None for classes.
        train, test : ndarray of int
            Row numbers of the fold.
        folds : list of (train, test), length 5
            Row numbers of all folds, to be passed as ``cv``.
        ids : ndarray of shape (n_crystals,)
            Matbench's identifiers, such as ``"mb-jdft2d-001"``.
        DESCR : str
            Description of the task.
        filename : str
            Path of the file.
    (structures, target) : tuple if ``return_X_y=True``
        As above.

    Raises
    ------
    OSError
        If the download fails; the message explains how to provide the file by hand.
    ValueError
        If the task or the fold does not exist, or the file or the folds are not Matbench's.

    See Also
    --------
    fetch_url_dataset : Download crystals from any URL.
    load_formation_energy : A bundled data set, without download.

    References
    ----------
    .. [1] A. Dunn, Q. Wang, A. Ganose, D. Dopp, A. Jain, "Benchmarking materials property prediction methods: the
       Matbench test set and Automatminer reference algorithm", npj Comput. Mater. 6, 138 (2020).
       doi:10.1038/s41524-020-00406-3

    Examples
    --------
    The data is not part of the package. Without a network, the message explains what to do:

    >>> import tempfile
    >>> from skdim.datasets import fetch_matbench
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fetch_matbench("jdft2d", data_home=folder, download_if_missing=False)
    Traceback (most recent call last):
    ...
    FileNotFoundError: matbench_jdft2d.json.gz is not in ..., and download_if_missing is False. By hand: download
    https://ml.materialsproject.org/projects/matbench_jdft2d.json.gz, or the same file from elsewhere (sha256 26057...),
    and save it as .... Set data_home or the environment variable SKDIM_DATA to use another folder.

    ``cross_val_score(model, data.structures, data.target, cv=data.folds)`` follows Matbench's protocol.
    """
    from sklearn.utils import Bunch

    task = str(task).removeprefix("matbench_")
    if task not in TASKS:
        raise ValueError(f"Matbench has no task {task!r} with structures; available: {', '.join(sorted(TASKS))}")
    if isinstance(fold, bool) or fold not in range(N_FOLDS):
        raise ValueError(f"fold must be an integer from 0 to {N_FOLDS - 1}; got {fold!r}")
    facts = TASKS[task]
    base_url = base_url or os.environ.get("SKDIM_MATBENCH_URL") or URL
    path = fetch_file(
        f"{base_url.rstrip('/')}/matbench_{task}.json.gz",
        sha256=facts.sha256,
        data_home=data_home,
        download_if_missing=download_if_missing,
        max_bytes=2**20 + _MAX_BYTES_A_ROW * facts.n_rows,
        n_retries=n_retries,
        delay=delay,
        timeout=timeout,
        verbose=verbose,
    )
    columns = read_table(path)
    structures, target = structures_of(columns, "structure", path), target_of(columns, facts.target, path)
    if len(target) != facts.n_rows:
        raise ValueError(f"{path} has {len(target)} rows, but Matbench's {task} has {facts.n_rows}")
    if facts.unit is None:
        target = target.astype(bool)
    if return_X_y:
        return structures, target
    digits = math.floor(math.log10(len(target))) + 1
    prefix = f"mb-{task.replace('_', '-')}"
    describe = (files(__package__) / "descr" / "matbench.rst").read_text(encoding="utf-8")
    folds = _folds(target, facts)
    train, test = folds[int(fold)]
    return Bunch(
        structures=structures,
        target=target,
        target_name=facts.target,
        unit=facts.unit,
        train=train,
        test=test,
        folds=folds,
        ids=np.array([f"{prefix}-{row:0{digits}d}" for row in range(1, len(target) + 1)]),
        DESCR=describe.format(task=task, **facts._asdict(), unit_or_class=facts.unit or "true or false"),
        filename=str(path),
    )


def _folds(target, facts):
    """Row numbers of Matbench's five folds, stratified if the target is a class."""
    from sklearn.model_selection import KFold, StratifiedKFold

    splitter = StratifiedKFold if facts.unit is None else KFold
    folds = list(splitter(N_FOLDS, shuffle=True, random_state=SEED).split(target, target))
    number = np.empty(len(target), dtype=np.uint8)
    for k, (_, test) in enumerate(folds):
        number[test] = k
    if hashlib.sha256(number.tobytes()).hexdigest() != facts.folds_sha256:
        raise ValueError("this version of scikit-learn does not reproduce the folds of Matbench")
    return folds
