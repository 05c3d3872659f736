"""Full disks, read-only folders, kills, workers that die, and concurrent writes.

Faults of downloads, results files, checkpoints and transform_to_disk are tested with their modules.
"""

import contextlib
import errno
import os
import resource
import signal
from pathlib import Path

import filelock
import numpy as np
import pytest
from joblib.externals.loky.process_executor import BrokenProcessPool
from sklearn.dummy import DummyRegressor

from skdim import Crystals, DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim._shared import files as _files
from skdim._shared.locks import lock_file, unlock_file
from skdim._structures.errors import StructureError
from skdim.datasets import _part
from skdim.model_selection import label_efficiency, read_results
from tests.helpers import processes
from tests.helpers.processes import run_killed
from tests.helpers.small_estimators import SMALL

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs limits and kills of a POSIX system")
EPOCH = {**SMALL, "max_epochs": 1}


@contextlib.contextmanager
def disk_full(n_bytes):
    """Limit the size of files: a write beyond the limit fails after part of it is written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def read_only(folder):
    """Make a folder read-only, also for root, who becomes the user nobody."""
    is_root = os.geteuid() == 0
    folder.chmod(0o555)
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o755)


def results(path, n_repeats=3):
    y = np.linspace(0, 1, 60)
    return label_efficiency(
        {"mean": DummyRegressor()},
        y[:, None],
        y,
        train_sizes=[10],
        n_repeats=n_repeats,
        random_state=0,
        results_file=path,
    )


#: Name of each writer of a file or folder -> function of (embedder, X, structures, path).
WRITERS = {
    "Crystals.save": lambda embedder, X, structures, path: X.save(path),
    "save_pretrained": lambda embedder, X, structures, path: embedder.save_pretrained(path),
    "transform_to_disk": lambda embedder, X, structures, path: SiteNetFeaturizer().transform_to_disk(structures, path),
    "checkpoint": lambda embedder, X, structures, path: DeepInfoMaxEmbedder(**EPOCH, checkpoint=path).fit(X),
}


@posix
@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_no_incomplete_file(name, embedder, X, structures, tmp_path):
    path = tmp_path / "out"
    with disk_full(2000), pytest.raises(OSError, match="too large"):
        WRITERS[name](embedder, X, structures, path)
    assert not path.exists(), "an incomplete file must not have the final name"
    WRITERS[name](embedder, X, structures, path)
    assert path.exists()
    assert [file.name for file in tmp_path.iterdir()] == ["out"], "the failed write must not leave files"


@posix
def test_a_full_disk_keeps_the_last_checkpoint(X, tmp_path):
    longer = DeepInfoMaxEmbedder(**{**SMALL, "max_epochs": 3}, learning_rate="constant", checkpoint=tmp_path / "b.pt")
    uninterrupted = DeepInfoMaxEmbedder(**{**SMALL, "max_epochs": 3}, learning_rate="constant").fit(X)

    saves, real = [], Path.write_bytes

    def write_bytes(file, content):
        saves.append(file)
        if len(saves) == 2:
            real(file, bytes(content)[:1000])
            raise OSError(28, "No space left on device")
        return real(file, content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "write_bytes", write_bytes)
        with pytest.raises(OSError, match="No space left"):
            longer.fit(X)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["b.pt"], "the checkpoint of the first epoch"
    np.testing.assert_array_equal(longer.fit(X).transform(X), uninterrupted.transform(X))


@posix
def test_a_full_disk_keeps_earlier_results(tmp_path):
    path = tmp_path / "results.jsonl"
    results(path)
    before = path.read_bytes()
    with disk_full(len(before) + 20), pytest.raises(OSError, match="too large"):
        results(path, 6)
    assert path.read_bytes().startswith(before)
    assert len(read_results(path)) == 3, "an incomplete line must be ignored"
    assert len(results(path, 6)) == 6


@posix
@pytest.mark.parametrize("name", WRITERS)
def test_a_write_without_permission_leaves_no_file(name, embedder, X, structures, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    with read_only(folder), pytest.raises(PermissionError) as error:
        WRITERS[name](embedder, X, structures, folder / "out")
    assert str(folder) in str(error.value), "the message must name the folder"
    assert list(folder.iterdir()) == []


@posix
def test_errors_name_files_without_read_permission(X, structures, embedder, tmp_path):
    X.save(tmp_path / "store")
    embedder.save_pretrained(tmp_path / "weights")
    (tmp_path / "a.cif").write_text(structures[0].to(fmt="cif"))
    (tmp_path / "a.cif").chmod(0)
    for name in ("store/header.json", "weights/config.json"):
        (tmp_path / name).chmod(0)
    with read_only(tmp_path):
        with pytest.raises((ValueError, PermissionError), match="store"):
            Crystals.load(tmp_path / "store")
        with pytest.raises((ValueError, PermissionError), match="weights"):
            DeepInfoMaxEmbedder.from_pretrained(tmp_path / "weights")
        with pytest.raises(StructureError, match=r"a\.cif: cannot open the file \(Permission denied"):
            SiteNetFeaturizer().transform([tmp_path / "a.cif"])


def write_and_die(name, embedder, X, structures, path):
    """Write, and kill the process just before the rename to the final name."""

    def die(*args):
        os.kill(os.getpid(), signal.SIGKILL)

    os.replace = Path.rename = die
    WRITERS[name](embedder, X, structures, path)


@posix
@pytest.mark.parametrize("name", ["Crystals.save", "save_pretrained"])
def test_a_save_killed_before_its_rename_leaves_no_folder(name, embedder, X, structures, tmp_path):
    path = tmp_path / "out" / "here"
    run_killed(write_and_die, name, embedder, X, structures, path)
    assert not path.exists()
    WRITERS[name](embedder, X, structures, path)
    assert path.is_dir()


@posix
def test_a_kill_while_a_file_is_replaced_keeps_the_old_file(tmp_path):
    """Before the first byte, in the middle and after the last byte."""
    path = tmp_path / "file"
    path.write_text("old")
    for moment in ("begin", "half", "all"):
        pid = os.fork()
        if pid == 0:
            with _files.replaced_file(path) as file:
                if moment != "begin":
                    file.write_text("ne" if moment == "half" else "new")
                os.kill(os.getpid(), signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        assert path.read_text() == "old"
    with _files.replaced_file(path) as file:
        file.write_text("new")
    assert path.read_text() == "new"


class Deadly(str):
    """A row that kills the worker that unpickles it, as a crash of compiled code would."""

    def __reduce__(self):
        return (signal.raise_signal, (signal.SIGKILL,))


def test_a_worker_that_dies_raises_and_the_run_can_be_resumed(structures, X, tmp_path):
    rows = [*structures[:6], Deadly("x"), *structures[6:12]]
    featurizer = SiteNetFeaturizer(n_jobs=2)
    with pytest.raises(BrokenProcessPool, match=r"terminated|un-serialize"):
        featurizer.transform(rows)
    with pytest.raises(BrokenProcessPool, match=r"terminated|un-serialize"):
        featurizer.transform_to_disk(iter(rows), tmp_path / "store", chunk_size=4)
    # The next call has new workers and resumes from the chunks on disk.
    np.testing.assert_array_equal(featurizer.transform(structures[:12]).distance, X[:12].distance)
    rows[6] = structures[0]
    X_resumed = featurizer.transform_to_disk(iter(rows), tmp_path / "store", chunk_size=4)
    assert X_resumed.formulas == X[[*range(6), 0, *range(6, 12)]].formulas


def test_the_second_save_under_one_name_is_refused(X, tmp_path):
    """The second save raises, and the store of the first is complete."""
    with pytest.raises(FileExistsError, match="by another process"), _files.new_folder(tmp_path / "store"):
        X.save(tmp_path / "store")
    assert Crystals.load(tmp_path / "store", verify=True).formulas == X.formulas
    assert [file.name for file in tmp_path.iterdir()] == ["store"]


def test_a_failed_rename_raises_and_leaves_nothing(X, tmp_path, monkeypatch):
    """If the reason is another one than an existing folder."""

    def refuse(self, target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(PermissionError, match="Permission denied"):
        X.save(tmp_path / "store")
    assert list(tmp_path.iterdir()) == []


def test_files_are_written_without_locks(tmp_path, monkeypatch):
    """On systems without flock, which filelock reports as ENOSYS."""

    def refuse(*args, **kwargs):
        raise OSError(errno.ENOSYS, "fcntl is unavailable")

    monkeypatch.setattr(filelock, "lock_descriptor", refuse)
    monkeypatch.setattr(filelock, "unlock_descriptor", refuse)
    with open(tmp_path / "a", "w") as first, open(tmp_path / "a", "w") as second:
        for file in (first, second):
            assert not lock_file(file, "taken")
            unlock_file(file)
    with _part.part_of(tmp_path / "b") as begun:
        begun.start_over()
        begun.append(b"whole")
        begun.finish(tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"whole"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def save_together(X, path, together, outcomes):
    """Wait for the other processes, save, and report the outcome."""
    together.wait()
    try:
        X.save(path)
        outcomes.put("saved")
    except FileExistsError:
        outcomes.put("exists")


@posix
def test_one_of_three_processes_saves_under_one_name(X, tmp_path):
    outcomes, together = processes.context().Queue(), processes.context().Barrier(3)
    running = [processes.start(save_together, X, tmp_path / "store", together, outcomes) for _ in range(3)]
    for process in running:
        process.join()
    assert sorted(outcomes.get(timeout=60) for _ in running) == ["exists", "exists", "saved"]
    assert Crystals.load(tmp_path / "store", verify=True).formulas == X.formulas
    assert [file.name for file in tmp_path.iterdir()] == ["store"]
