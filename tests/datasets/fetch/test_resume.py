"""Downloads after an interruption or a kill, and by several processes."""

import errno
import hashlib
import signal
import threading
import time

import pytest

from skdim.datasets import _part, fetch_file
from tests.datasets.fetch.server_files import CONTENT, OTHER, SHA256, assert_fetched, fetch, names, start_fetch
from tests.helpers.loopback import Server, begin, broken, rest, stalling, status, whole


def test_a_broken_download_is_resumed(folder):
    with Server(broken(CONTENT, 100_000, ETag='"a"'), rest(CONTENT, '"a"')) as server:
        assert_fetched(fetch(server), folder)
    assert server.ranges == [None, "bytes=100000-"]
    assert server.requests[1][1]["if-range"] == '"a"'


def test_a_later_call_resumes_the_download(folder):
    with Server(broken(CONTENT, 100_000, Last_Modified="Thu, 01 Jan 2026 00:00:00 GMT"), rest(CONTENT)) as server:
        with pytest.raises(OSError, match=r"after 100000 of 300000 bytes \(1 try\)\. 100000 bytes are kept"):
            fetch(server, n_retries=0)
        assert names(folder) == ["crystals.json.gz.part", "crystals.json.gz.part.json"]
        assert_fetched(fetch(server, n_retries=0), folder)
    assert server.ranges == [None, "bytes=100000-"]
    assert server.requests[1][1]["if-range"] == "Thu, 01 Jan 2026 00:00:00 GMT"


def test_tries_that_make_progress_are_not_counted(folder):
    """But a server that restarts each time is given up."""
    content = CONTENT * 20
    size = 11 * len(CONTENT) // 3

    def some(handler):
        start = int((handler.headers.get("Range") or "bytes=0-")[len("bytes=") : -1])
        head = {"Content_Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        begin(handler, 206 if start else 200, Content_Length=len(content) - start, **head)
        handler.wfile.write(content[start : start + size])

    with Server(some) as server:
        path = fetch(server, sha256=hashlib.sha256(content).hexdigest(), n_retries=1)
        assert path.read_bytes() == content
        assert len(server.requests) == 6
        with pytest.raises(OSError, match=r"\(1 try\)"):
            fetch(server, n_retries=0, filename="another")
    with Server(broken(content, size)) as server, pytest.raises(OSError, match=r"\(2 tries\)"):
        fetch(server, n_retries=1, filename="a third")
    assert len(server.requests) == 2


def test_a_weak_etag_is_not_used(folder):
    with Server(broken(CONTENT, 100_000, ETag='W/"a"'), rest(CONTENT)) as server:
        assert_fetched(fetch(server), folder)
    assert "if-range" not in server.requests[1][1]


@pytest.mark.parametrize(
    ("now", "n_requests"),
    [
        (whole(CONTENT), 2),  # does not support ranges
        (rest(CONTENT, '"b"'), 2),  # supports If-Range
        (rest(CONTENT, '"b"', heeds_if_range=False), 3),  # ignores If-Range, but sends the ETag
        (rest(CONTENT, heeds_if_range=False), 3),  # sends no ETag: only the sha256 shows the mixture
        (rest(CONTENT[:90_000], heeds_if_range=False), 3),  # does not have this range
    ],
)
def test_a_file_that_changed_is_downloaded_as_a_whole(folder, now, n_requests):
    with Server(broken(OTHER, 100_000, ETag='"a"'), now, whole(CONTENT)) as server:
        assert_fetched(fetch(server, n_retries=1), folder)
    assert len(server.requests) == n_requests


@pytest.mark.parametrize("size", ["300000", "*"])
def test_servers_may_send_a_part_of_the_range(folder, size):
    """And may not know the size of the file."""

    def some(handler):
        start = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        stop = start + 50_000 if size == "300000" else 300_000
        begin(handler, 206, Content_Range=f"bytes {start}-{stop - 1}/{size}", Content_Length=stop - start)
        handler.wfile.write(CONTENT[start:stop])

    with Server(broken(CONTENT, 100_000), some) as server:
        assert_fetched(fetch(server, n_retries=4), folder)
    starts = [100_000, 150_000, 200_000, 250_000] if size == "300000" else [100_000]
    assert server.ranges == [None, *(f"bytes={start}-" for start in starts)]


@pytest.mark.parametrize("span", ["bytes 0-299999/300000", "bytes 99999-299999/300000", "100000-", "bytes */300000"])
def test_another_range_than_requested_is_not_used(folder, span):
    def wrong(handler):
        begin(handler, 206, Content_Range=span, Content_Length=200_000)
        handler.wfile.write(CONTENT[100_000:])

    with Server(broken(CONTENT, 100_000), wrong, whole(CONTENT)) as server:
        assert_fetched(fetch(server, n_retries=1), folder)
    assert server.ranges == [None, "bytes=100000-", None]


@pytest.mark.parametrize("answer", [status(206, Content_Range="bytes 0-9/10"), status(416)])
def test_partial_responses_without_request_are_refused(folder, answer):
    with (
        Server(answer) as server,
        pytest.raises(OSError, match=r"answered (206|416) to a request for the whole file \(2 tries"),
    ):
        fetch(server, n_retries=1)
    assert len(server.requests) == 2
    assert names(folder) == []


def test_a_part_of_another_url_is_not_used(folder):
    with Server(broken(OTHER, 1000)) as server, pytest.raises(OSError, match="are kept"):
        fetch(server, n_retries=0)
    with Server(rest(CONTENT)) as server:
        assert_fetched(fetch(server), folder)
    assert server.ranges == [None]


@pytest.mark.parametrize("note", [None, b"", b"[1]", b'{"url": 3}', b"\xff"])
def test_a_part_of_unknown_origin_is_not_used(folder, note):
    (folder / "crystals.json.gz.part").write_bytes(OTHER[:1000])
    if note is not None:
        (folder / "crystals.json.gz.part.json").write_bytes(note)
    with Server(rest(CONTENT)) as server:
        assert_fetched(fetch(server), folder)
    assert server.ranges == [None]


def test_a_complete_part_needs_no_server(folder):
    """The process was killed before renaming it."""
    (folder / "crystals.json.gz.part").write_bytes(CONTENT)
    assert_fetched(fetch_file("https://example.org/crystals.json.gz", sha256=SHA256), folder)


def test_a_killed_download_is_resumed(folder):
    part = folder / "crystals.json.gz.part"
    with Server(stalling(CONTENT, 200_000, ETag='"a"'), rest(CONTENT, '"a"')) as server:
        process = start_fetch(server, folder)
        deadline = time.monotonic() + 30
        while not (part.exists() and part.stat().st_size > 100_000):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not (folder / "crystals.json.gz").exists()
        size = part.stat().st_size
        assert_fetched(fetch_file(f"{server.url}/crystals.json.gz", sha256=SHA256), folder)
    assert server.ranges == [None, f"bytes={size}-"]


def test_one_of_several_processes_downloads(folder):
    def slow(handler):
        begin(handler, 200, Content_Length=len(CONTENT))
        for start in range(0, len(CONTENT), 50_000):
            handler.wfile.write(CONTENT[start : start + 50_000])
            time.sleep(0.3)

    with Server(slow) as server:
        processes = [start_fetch(server, folder) for _ in range(3)]
        assert [process.communicate()[1] for process in processes] == [b""] * 3
        assert [process.returncode for process in processes] == [0] * 3
        assert_fetched(fetch(server), folder)
    assert len(server.requests) == 1


def at_once(function, n):
    results = [None] * n

    def run(k):
        try:
            results[k] = function()
        except Exception as error:
            results[k] = error

    threads = [threading.Thread(target=run, args=(k,)) for k in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_the_next_process_resumes_if_the_first_fails(folder):
    with Server(broken(CONTENT, 100_000), rest(CONTENT)) as server:
        results = at_once(lambda: fetch(server, n_retries=0), 4)
    assert sum(isinstance(result, OSError) for result in results) == 1
    assert set(results) >= {folder / "crystals.json.gz"}
    assert_fetched(folder / "crystals.json.gz", folder)
    assert server.ranges == [None, "bytes=100000-"]


@pytest.mark.parametrize("lock", [None, "refused"])
def test_without_locks_each_process_has_its_part(folder, monkeypatch, lock):
    """As on Windows and some file systems; no part is left."""
    if lock is None:
        monkeypatch.setattr(_part, "_RENAMES_OPEN_FILES", False)
    else:

        def refuse(*args, **kwargs):
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr("filelock.lock_descriptor", refuse)
    with Server(broken(CONTENT, 100_000), rest(CONTENT)) as server:
        results = at_once(lambda: fetch(server), 4)
        assert results == [folder / "crystals.json.gz"] * 4
        assert_fetched(results[0], folder)
    with Server(broken(CONTENT, 100_000)) as server, pytest.raises(OSError, match="connection ended"):
        fetch(server, filename="another.gz")
    assert names(folder) == ["crystals.json.gz"]
