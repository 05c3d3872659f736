"""Fetching files, against a server on this machine that does all that a server should not."""

import contextlib
import errno
import hashlib
import io
import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from skdim.datasets import _fetch, _http, _part, fetch_file, get_data_home
from tests.loopback import Server, begin, broken, dripping, endless, rest, silent, stalling, status, whole

CONTENT = np.random.default_rng(0).bytes(300_000)
OTHER = np.random.default_rng(1).bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SKDIM_DATA", str(tmp_path))
    return tmp_path


def fetch(server, **options):
    return fetch_file(f"{server.url}/data/crystals.json.gz", **{"sha256": SHA256, "delay": 0, **options})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def assert_fetched(path, folder):
    assert path == folder / "crystals.json.gz"
    assert path.read_bytes() == CONTENT
    assert names(folder) == [path.name]


# -- what goes well ----------------------------------------------------------------------------------------------------


def test_fetched_once(folder):
    with Server(whole(CONTENT)) as server:
        assert_fetched(fetch(server), folder)
        assert_fetched(fetch(server, sha256=SHA256.upper()), folder)
    ((path, headers),) = server.requests
    assert path == "/data/crystals.json.gz"
    assert headers["user-agent"].startswith("skdim/")
    assert headers["accept-encoding"] == "identity"
    assert "range" not in headers


def test_size_not_told(folder):
    def until_closed(handler):
        begin(handler, 200)
        handler.wfile.write(CONTENT)

    with Server(until_closed) as server:
        assert_fetched(fetch(server), folder)


def test_chunked(folder):
    def chunked(handler):
        handler.protocol_version = "HTTP/1.1"
        begin(handler, 200, Transfer_Encoding="chunked")
        for start in range(0, len(CONTENT), 7000):
            piece = CONTENT[start : start + 7000]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n")

    with Server(chunked) as server:
        assert_fetched(fetch(server), folder)


def test_redirects_are_followed(folder):
    def moved(handler):
        if handler.path.startswith("/data"):
            return begin(handler, 302, Location="/elsewhere/1", Content_Length=0)
        return rest(CONTENT, '"a"')(handler)

    with Server(moved) as server:
        assert_fetched(fetch(server), folder)
    assert [path for path, _ in server.requests] == ["/data/crystals.json.gz", "/elsewhere/1"]


def test_put_there_by_hand(folder):
    (folder / "crystals.json.gz").write_bytes(CONTENT)
    assert_fetched(fetch_file("https://example.org/crystals.json.gz", sha256=SHA256, download_if_missing=False), folder)


def test_progress(folder, capsys):
    with Server(whole(CONTENT)) as server:
        fetch(server)
        assert capsys.readouterr() == ("", "")
        fetch(server, filename="again.gz", verbose=1)
    assert "again.gz: 300k of 300kB" in capsys.readouterr().err


def test_names(folder):
    with Server(whole(CONTENT)) as server:
        assert fetch(server, filename="mine.bin").name == "mine.bin"
        assert fetch_file(f"{server.url}/a%20b.json?c=d", sha256=SHA256).name == "a b.json"


def test_data_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SKDIM_DATA", raising=False)
    assert get_data_home() == tmp_path / "home" / "skdim_data"
    assert get_data_home("~/other") == tmp_path / "home" / "other"
    monkeypatch.setenv("SKDIM_DATA", str(tmp_path / "set"))
    assert get_data_home() == tmp_path / "set"
    assert get_data_home(tmp_path / "given") == tmp_path / "given"
    assert names(tmp_path) == ["given", "home", "set"]


# -- going on after a break --------------------------------------------------------------------------------------------


def test_goes_on_after_a_break(folder):
    with Server(broken(CONTENT, 100_000, ETag='"a"'), rest(CONTENT, '"a"')) as server:
        assert_fetched(fetch(server), folder)
    assert server.ranges == [None, "bytes=100000-"]
    assert server.requests[1][1]["if-range"] == '"a"'


def test_a_later_call_goes_on(folder):
    with Server(broken(CONTENT, 100_000, Last_Modified="Thu, 01 Jan 2026 00:00:00 GMT"), rest(CONTENT)) as server:
        with pytest.raises(OSError, match=r"after 100000 of 300000 bytes \(1 try\)\. 100000 bytes of it are kept"):
            fetch(server, n_retries=0)
        assert names(folder) == ["crystals.json.gz.part", "crystals.json.gz.part.json"]
        assert_fetched(fetch(server, n_retries=0), folder)
    assert server.ranges == [None, "bytes=100000-"]
    assert server.requests[1][1]["if-range"] == "Thu, 01 Jan 2026 00:00:00 GMT"


def test_each_try_brings_some_of_it(folder):
    """As many tries as that takes; but a server that begins anew each time is given up."""
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


def test_a_weak_etag_is_no_promise(folder):
    with Server(broken(CONTENT, 100_000, ETag='W/"a"'), rest(CONTENT)) as server:
        assert_fetched(fetch(server), folder)
    assert "if-range" not in server.requests[1][1]


@pytest.mark.parametrize(
    ("now", "n_requests"),
    [
        (whole(CONTENT), 2),  # knows no ranges
        (rest(CONTENT, '"b"'), 2),  # sees by If-Range that the file has changed
        (rest(CONTENT, '"b"', heeds_if_range=False), 3),  # does not, but says which file it sends a part of
        (rest(CONTENT, heeds_if_range=False), 3),  # says nothing: only the sha256 shows that two files are mixed
        (rest(CONTENT[:90_000], heeds_if_range=False), 3),  # has no such range
    ],
)
def test_the_file_has_changed_meanwhile(folder, now, n_requests):
    with Server(broken(OTHER, 100_000, ETag='"a"'), now, whole(CONTENT)) as server:
        assert_fetched(fetch(server, n_retries=1), folder)
    assert len(server.requests) == n_requests


@pytest.mark.parametrize("size", ["300000", "*"])
def test_less_than_the_whole_rest(folder, size):
    """A server may send a range in pieces, and need not know the size of the file."""

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
def test_another_range_than_asked_for(folder, span):
    def wrong(handler):
        begin(handler, 206, Content_Range=span, Content_Length=200_000)
        handler.wfile.write(CONTENT[100_000:])

    with Server(broken(CONTENT, 100_000), wrong, whole(CONTENT)) as server:
        assert_fetched(fetch(server, n_retries=1), folder)
    assert server.ranges == [None, "bytes=100000-", None]


@pytest.mark.parametrize("answer", [status(206, Content_Range="bytes 0-9/10"), status(416)])
def test_an_answer_to_what_was_not_asked(folder, answer):
    with (
        Server(answer) as server,
        pytest.raises(OSError, match=r"answers (206|416) to a request for the whole file \(2 tries"),
    ):
        fetch(server, n_retries=1)
    assert len(server.requests) == 2
    assert names(folder) == []


def test_a_part_from_elsewhere_is_not_used(folder):
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


def test_a_part_that_is_complete_needs_no_server(folder):
    """The process was killed before the file got its name."""
    (folder / "crystals.json.gz.part").write_bytes(CONTENT)
    assert_fetched(fetch_file("https://example.org/crystals.json.gz", sha256=SHA256), folder)


FETCH = "import sys; from skdim.datasets import fetch_file; fetch_file(sys.argv[1], sha256=sys.argv[2], timeout=20)"


def start_fetch(server, folder):
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, f"{server.url}/crystals.json.gz", SHA256],
        env={**os.environ, "SKDIM_DATA": str(folder)},
        stderr=subprocess.PIPE,
    )


def test_killed(folder):
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


# -- several at once ---------------------------------------------------------------------------------------------------


def test_processes_at_once(folder):
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


def test_the_second_goes_on_where_the_first_fails(folder):
    with Server(broken(CONTENT, 100_000), rest(CONTENT)) as server:
        results = at_once(lambda: fetch(server, n_retries=0), 4)
    assert sum(isinstance(result, OSError) for result in results) == 1
    assert set(results) >= {folder / "crystals.json.gz"}
    assert_fetched(folder / "crystals.json.gz", folder)
    assert server.ranges == [None, "bytes=100000-"]


@pytest.mark.parametrize("lock", [None, "refused"])
def test_without_locks(folder, monkeypatch, lock):
    """As on Windows, and on some file systems: each has its own part, and leaves none."""
    if lock is None:
        monkeypatch.setattr(_part, "fcntl", None)
    else:

        def refuse(*args):
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(_part.fcntl, "flock", refuse)
    with Server(broken(CONTENT, 100_000), rest(CONTENT)) as server:
        results = at_once(lambda: fetch(server), 4)
        assert results == [folder / "crystals.json.gz"] * 4
        assert_fetched(results[0], folder)
    with Server(broken(CONTENT, 100_000)) as server, pytest.raises(OSError, match="connection ended"):
        fetch(server, filename="another.gz")
    assert names(folder) == ["crystals.json.gz"]


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def test_offline_message(folder):
    with Server(status(200)) as server:
        pass  # and nothing listens there any more
    with pytest.raises(OSError, match="no connection") as caught:
        fetch(server, n_retries=1)
    message = str(caught.value)
    for text in (f"{server.url}/data/crystals.json.gz", SHA256, str(folder / "crystals.json.gz"), "(2 tries)"):
        assert text in message
    for text in ("By hand", "data_home", "SKDIM_DATA"):
        assert text in message
    assert names(folder) == []


def test_download_if_missing(folder):
    with Server(whole(CONTENT)) as server, pytest.raises(FileNotFoundError, match=r"is not in .*By hand: get"):
        fetch(server, download_if_missing=False)
    assert server.requests == []


def test_another_file_of_that_name_is_left_alone(folder):
    (folder / "crystals.json.gz").write_bytes(b"mine")
    with Server(whole(CONTENT)) as server, pytest.raises(OSError, match=r"damaged, or another file.*Remove it"):
        fetch(server)
    assert server.requests == []
    assert (folder / "crystals.json.gz").read_bytes() == b"mine"


def test_wrong_bytes(folder):
    with Server(whole(OTHER)) as server:
        with pytest.raises(OSError, match=rf"300000 bytes and the sha256 {hashlib.sha256(OTHER).hexdigest()}.*3 tries"):
            fetch(server, n_retries=2)
        assert names(folder) == []
    assert server.ranges == [None] * 3


def test_wrong_bytes_once(folder):
    with Server(whole(OTHER), whole(CONTENT)) as server:
        assert_fetched(fetch(server, n_retries=1), folder)


@pytest.mark.parametrize("length", [299_999, 300_001, 0, 10**12, -5, "many"])
def test_wrong_length(folder, length):
    with Server(whole(CONTENT, Content_Length=length)) as server:
        if length in (-5, "many"):  # as good as none
            assert_fetched(fetch(server, n_retries=0), folder)
            return
        with pytest.raises(OSError, match=r"of 300001 bytes|is not the file that is wanted|offers 10{12} bytes"):
            fetch(server, n_retries=0)
    assert not (folder / "crystals.json.gz").exists()


@pytest.mark.parametrize(
    ("answer", "message", "n_requests"),
    [
        (status(404), "404 Not Found", 1),
        (status(403), "403 Forbidden", 1),
        (status(204), "204 No Content", 1),
        (status(302), "302 Found", 1),
        (status(500), "500 Internal Server Error", 3),
        (status(429), "429 Too Many Requests", 3),
        (lambda handler: handler.wfile.write(b"220 ftp ready\r\n"), "BadStatusLine", 3),
        (lambda handler: None, "RemoteDisconnected", 3),
        (lambda handler: handler.wfile.write(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), "IncompleteRead", 3),
    ],
)
def test_bad_answers(folder, answer, message, n_requests):
    with Server(answer) as server, pytest.raises(OSError, match=message):
        fetch(server, n_retries=2)
    assert len(server.requests) == n_requests
    assert names(folder) == []


def test_out_of_order_and_then_well(folder):
    with Server(status(500), status(503), whole(CONTENT)) as server:
        assert_fetched(fetch(server), folder)


def test_delay(folder, monkeypatch):
    waited = []
    monkeypatch.setattr(_fetch.time, "sleep", waited.append)
    with Server(status(500), status(500), whole(CONTENT)) as server:
        fetch(server, delay=7)
    assert waited == [7, 7]


@pytest.mark.parametrize(
    "answer",
    [
        silent,
        stalling(CONTENT, 0),
        stalling(CONTENT, 1000),
        dripping(b""),
        dripping(OK + b"X-Y: "),
        dripping(OK + b"\r\n"),
        dripping(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n"),
    ],
)
def test_stalling(folder, answer):
    start = time.monotonic()
    with Server(answer) as server, pytest.raises(OSError, match=r"the server stalls|connection broke"):
        fetch(server, n_retries=0, timeout=0.3)
    assert time.monotonic() - start < 3


def test_stalls_and_then_goes_on(folder):
    with Server(stalling(CONTENT, 100_000), rest(CONTENT)) as server:
        assert_fetched(fetch(server, timeout=0.3), folder)
    assert server.ranges == [None, "bytes=100000-"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (whole(CONTENT), "offers 300000 bytes, more than max_bytes=1000"),
        (endless(OK + b"\r\n"), "sends more than max_bytes=1000"),
        (endless(OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\nabcdefghi\r\n0\r\n"), "does not stop sending"),
        (endless(b"HTTP/1.1 100 Continue\r\n"), "connection broke: HTTPException"),
        (endless(b"HTTP/1.1 404 Not Found\r\n\r\n"), "404"),
        (endless(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"), "redirects more than 5 times"),
    ],
)
def test_too_much(folder, answer, message):
    start = time.monotonic()
    with Server(answer) as server, pytest.raises(OSError, match=message):
        fetch(server, n_retries=0, max_bytes=1000, timeout=5)
    assert time.monotonic() - start < 4
    assert not (folder / "crystals.json.gz").exists()


def test_continued_for_ever(folder):
    def continues(handler):
        with contextlib.suppress(OSError):
            while not handler.ended.is_set():
                handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)

    with Server(continues) as server, pytest.raises(OSError, match="does not stop sending"):
        fetch(server, n_retries=0, max_bytes=1000)


@pytest.mark.parametrize(
    "where",
    [
        "file:///some/file",
        "ftp://127.0.0.1/a",
        "data:,abc",
        "http://example.org/a",
        "https:///a",
        "https://me:secret@example.org/a",
        "//example.org/a",
        "https://example.org/a b",
    ],
)
def test_redirects_that_are_not_followed(folder, where):
    with Server(status(302, Location=where)) as server, pytest.raises(OSError, match="not to a place to follow"):
        fetch(server)
    assert len(server.requests) == 1
    assert names(folder) == []


def test_no_redirect_from_outside_to_this_machine():
    with pytest.raises(_http.Refusal, match="to this machine"):
        _http._redirected("https://example.org/a", "https://127.0.0.1/admin")
    assert _http._redirected("https://example.org/a/b", "../c") == "https://example.org/c"


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """A server's TLS, and the file of its certificate, which it has signed itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not there to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
        "-addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out certificate.pem"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context, folder / "certificate.pem"


def test_https(folder, tls, monkeypatch):
    context, certificate = tls
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Server(broken(CONTENT, 100_000, ETag='"a"'), rest(CONTENT, '"a"'), tls=context) as server:
        assert_fetched(fetch(server), folder)
    assert server.ranges == [None, "bytes=100000-"]


def test_https_of_a_stranger(folder, tls):
    with Server(whole(CONTENT), tls=tls[0]) as server, pytest.raises(OSError, match="certificate is not valid: self"):
        fetch(server)
    assert server.requests == []


def test_https_stalling(folder, tls, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tls[1]))
    start = time.monotonic()
    for answer in (silent, dripping(OK + b"\r\n")):
        with Server(answer, tls=tls[0]) as server, pytest.raises(OSError, match="the server stalls"):
            fetch(server, n_retries=0, timeout=0.3)
    assert time.monotonic() - start < 5


def test_no_tls_there(folder):
    with Server(whole(CONTENT)) as server, pytest.raises(OSError, match="SSL"):
        fetch_file(server.url.replace("http", "https") + "/a", sha256=SHA256, n_retries=0, timeout=5)


def test_disk_full_is_not_called_a_trouble_of_the_network(folder, monkeypatch):
    def full(self, piece):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_part.Part, "append", full)
    with Server(whole(CONTENT)) as server, pytest.raises(OSError, match=r"^\[Errno 28\] No space left"):
        fetch(server)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://example.org/a", "use https"),
        ("ftp://example.org/a", "must start with https"),
        ("file:///some/file", "must start with https"),
        ("example.org/a", "must start with https"),
        ("https://example.org/a\r\nHost: b", "write spaces"),
        ("https://me:secret@example.org/a", "user name or password"),
        ("https://example.org/", "cannot name a file"),
        ("https://example.org/..", "cannot name a file"),
        ("https://example.org/%2e%2e%2fa", "cannot name a file"),
        ("https://example.org/.bashrc", "cannot name a file"),
        ("https://example.org/a%00b", "cannot name a file"),
        ("https://example.org/c%3Aa", "cannot name a file"),
    ],
)
def test_bad_urls(folder, url, message):
    with pytest.raises(ValueError, match=message) as caught:
        fetch_file(url, sha256=SHA256)
    assert "secret" not in str(caught.value)
    assert names(folder) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sha256": "abc"}, "64 hexadecimal"),
        ({"sha256": None}, "64 hexadecimal"),
        ({"filename": "../a"}, "cannot name a file"),
        ({"max_bytes": 0}, "max_bytes must be at least 1"),
        ({"n_retries": -1}, "n_retries must be at least 0"),
        ({"delay": -1}, "delay must be at least 0"),
        ({"timeout": 0}, "timeout must be a positive"),
        ({"timeout": float("inf")}, "timeout must be a positive"),
    ],
)
def test_bad_arguments(folder, options, message):
    with pytest.raises(ValueError, match=message):
        fetch_file("https://example.org/a", **{"sha256": SHA256, **options})


def test_a_slow_server_is_fast_enough_or_not(monkeypatch):
    """Each period counts for itself: what came before it is no credit."""
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(_http.time, "monotonic", lambda: float(next(clock)))
    enough, little = bytes(5 * _http.MIN_RATE), bytes(100)
    pieces = [enough, enough, enough, enough, little, little, little, little]

    class Slow(io.RawIOBase):
        def readinto(self, buffer):
            piece = pieces.pop(0)
            buffer[: len(piece)] = piece
            return len(piece)

    paced = _http._Paced(Slow(), period=10, limit=10**9)
    buffer = bytearray(10**4)
    for _ in range(5):
        paced.readinto(buffer)
    paced.readinto(buffer)
    with pytest.raises(TimeoutError, match="only 300 bytes in 12 s"):
        paced.readinto(buffer)
