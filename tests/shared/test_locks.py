"""Locks on open files."""

import errno
import os
import subprocess
import sys

import filelock
import pytest

from skdim._shared.locks import LockedError, lock_file, unlock_file


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a"


def test_one_holder_at_a_time(path):
    with open(path, "w") as first, open(path, "w") as second:
        assert lock_file(first)
        with pytest.raises(LockedError, match="in use"):
            lock_file(second, "in use")
        unlock_file(first)
        assert lock_file(second)
    with open(path, "w") as third:
        assert lock_file(third), "closing releases the lock"


@pytest.mark.skipif(os.name == "nt", reason="Windows locks a part of a file only once")
def test_a_holder_may_lock_again(path):
    with open(path, "w") as file:
        assert lock_file(file)
        assert lock_file(file)


def test_locks_neither_change_nor_add_files(path):
    path.write_bytes(b"content")
    with open(path, "r+b") as file:
        file.seek(3)
        assert lock_file(file)
        assert file.read() == b"tent"
        unlock_file(file)
    assert path.read_bytes() == b"content"
    assert os.listdir(path.parent) == ["a"]


def test_another_process_holds_the_lock_until_it_is_killed(path):
    script = f"""
from skdim._shared.locks import lock_file
file = open({str(path)!r}, "w")
print(lock_file(file), flush=True)
input()
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process, open(path, "a") as file:
        assert process.stdout.readline() == "True\n"
        with pytest.raises(LockedError):
            lock_file(file)
        process.kill()
        assert lock_file(file, wait=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_unlocking_releases_what_a_forked_child_still_has_open(path):
    end, start = os.pipe()
    with open(path, "w") as file:
        lock_file(file)
        child = os.fork()
        if not child:
            os.close(start)
            os.read(end, 1)
            os._exit(0)
        unlock_file(file)
    with open(path, "w") as file:
        assert lock_file(file)
    os.close(start)
    os.waitpid(child, 0)
    os.close(end)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS])
def test_file_systems_without_locks(path, monkeypatch, code):
    def refuse(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(filelock, "lock_descriptor", refuse)
    monkeypatch.setattr(filelock, "unlock_descriptor", refuse)
    with open(path, "w") as first, open(path, "w") as second:
        assert not lock_file(first)
        assert not lock_file(second)
        unlock_file(first)
