"""Downloads from broken or malicious servers on localhost; bad arguments."""

import contextlib
import errno
import hashlib
import io
import shutil
import ssl
import subprocess
import time

import pytest

from skdim.datasets import _fetch, _http, _part, fetch_file
from tests.datasets.fetch.server_files import CONTENT, OK, OTHER, SHA256, assert_fetched, fetch, names
from tests.helpers.loopback import Server, broken, dripping, endless, rest, silent, stalling, status, whole


def test_error_without_network_explains_what_to_do(folder):
    with Server(status(200)) as server:
        pass  # nothing listens on this port any more
    with pytest.raises(OSError, match="no connection") as caught:
        fetch(server, n_retries=1)
    message = str(caught.value)
    for text in (f"{server.url}/data/crystals.json.gz", SHA256, str(folder / "crystals.json.gz"), "(2 tries)"):
        assert text in message
    for text in ("By hand", "data_home", "SKDIM_DATA"):
        assert text in message
    assert names(folder) == []


def test_download_if_missing_false_uses_no_network(folder):
    with Server(whole(CONTENT)) as server, pytest.raises(FileNotFoundError, match=r"is not in .*By hand: download"):
        fetch(server, download_if_missing=False)
    assert server.requests == []


def test_another_file_of_that_name_is_not_changed(folder):
    (folder / "crystals.json.gz").write_bytes(b"another file")
    with Server(whole(CONTENT)) as server, pytest.raises(OSError, match=r"damaged or another file.*Remove it"):
        fetch(server)
    assert server.requests == []
    assert (folder / "crystals.json.gz").read_bytes() == b"another file"


def test_wrong_content_is_refused(folder):
    with Server(whole(OTHER)) as server:
        with pytest.raises(OSError, match=rf"300000 bytes with sha256 {hashlib.sha256(OTHER).hexdigest()}.*3 tries"):
            fetch(server, n_retries=2)
        assert names(folder) == []
    assert server.ranges == [None] * 3


def test_wrong_content_is_downloaded_again(folder):
    with Server(whole(OTHER), whole(CONTENT)) as server:
        assert_fetched(fetch(server, n_retries=1), folder)


@pytest.mark.parametrize("length", [299_999, 300_001, 0, 10**12, -5, "many"])
def test_wrong_content_length_is_refused(folder, length):
    with Server(whole(CONTENT, Content_Length=length)) as server:
        if length in (-5, "many"):  # invalid lengths are ignored
            assert_fetched(fetch(server, n_retries=0), folder)
            return
        with pytest.raises(OSError, match=r"of 300001 bytes|sent another file|has 10{12} bytes"):
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
def test_only_temporary_errors_are_retried(folder, answer, message, n_requests):
    with Server(answer) as server, pytest.raises(OSError, match=message):
        fetch(server, n_retries=2)
    assert len(server.requests) == n_requests
    assert names(folder) == []


def test_retry_after_a_server_error_succeeds(folder):
    with Server(status(500), status(503), whole(CONTENT)) as server:
        assert_fetched(fetch(server), folder)


def test_delay_between_tries(folder, monkeypatch):
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
def test_slow_servers_are_given_up(folder, answer):
    start = time.monotonic()
    with Server(answer) as server, pytest.raises(OSError, match=r"the server is too slow|connection broke"):
        fetch(server, n_retries=0, timeout=0.3)
    assert time.monotonic() - start < 3


def test_download_resumes_after_a_slow_server(folder):
    with Server(stalling(CONTENT, 100_000), rest(CONTENT)) as server:
        assert_fetched(fetch(server, timeout=0.3), folder)
    assert server.ranges == [None, "bytes=100000-"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (whole(CONTENT), "has 300000 bytes, more than max_bytes=1000"),
        (endless(OK + b"\r\n"), "sent more than max_bytes=1000"),
        (endless(OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\nabcdefghi\r\n0\r\n"), "sent too many bytes"),
        (endless(b"HTTP/1.1 100 Continue\r\n"), "connection broke: HTTPException"),
        (endless(b"HTTP/1.1 404 Not Found\r\n\r\n"), "404"),
        (endless(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"), "redirects more than 5 times"),
    ],
)
def test_endless_responses_are_given_up(folder, answer, message):
    start = time.monotonic()
    with Server(answer) as server, pytest.raises(OSError, match=message):
        fetch(server, n_retries=0, max_bytes=1000, timeout=5)
    assert time.monotonic() - start < 4
    assert not (folder / "crystals.json.gz").exists()


def test_endless_100_continue_is_given_up(folder):
    def continues(handler):
        with contextlib.suppress(OSError):
            while not handler.ended.is_set():
                handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)

    with Server(continues) as server, pytest.raises(OSError, match="sent too many bytes"):
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
def test_redirects_to_other_schemes_are_refused(folder, where):
    with (
        Server(status(302, Location=where)) as server,
        pytest.raises(OSError, match="to a URL that is not allowed"),
    ):
        fetch(server)
    assert len(server.requests) == 1
    assert names(folder) == []


def test_redirects_to_localhost_are_refused():
    with pytest.raises(_http.Refusal, match="redirects to localhost"):
        _http._redirected("https://example.org/a", "https://127.0.0.1/admin")
    assert _http._redirected("https://example.org/a/b", "../c") == "https://example.org/c"


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """TLS context of a server, and the file of its self-signed certificate."""
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


def test_https_with_a_trusted_certificate(folder, tls, monkeypatch):
    context, certificate = tls
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Server(broken(CONTENT, 100_000, ETag='"a"'), rest(CONTENT, '"a"'), tls=context) as server:
        assert_fetched(fetch(server), folder)
    assert server.ranges == [None, "bytes=100000-"]


def test_https_with_an_untrusted_certificate_is_refused(folder, tls):
    with Server(whole(CONTENT), tls=tls[0]) as server, pytest.raises(OSError, match="certificate is not valid: self"):
        fetch(server)
    assert server.requests == []


def test_slow_https_servers_are_given_up(folder, tls, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tls[1]))
    start = time.monotonic()
    for answer in (silent, dripping(OK + b"\r\n")):
        with Server(answer, tls=tls[0]) as server, pytest.raises(OSError, match="the server is too slow"):
            fetch(server, n_retries=0, timeout=0.3)
    assert time.monotonic() - start < 5


def test_https_from_an_http_server_is_refused(folder):
    with Server(whole(CONTENT)) as server, pytest.raises(OSError, match="SSL"):
        fetch_file(server.url.replace("http", "https") + "/a", sha256=SHA256, n_retries=0, timeout=5)


def test_a_full_disk_is_not_reported_as_a_network_error(folder, monkeypatch):
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
        ("https://example.org/a\r\nHost: b", "percent-encode spaces"),
        ("https://me:secret@example.org/a", "user name or password"),
        ("https://example.org/", "is not a valid file name"),
        ("https://example.org/..", "is not a valid file name"),
        ("https://example.org/%2e%2e%2fa", "is not a valid file name"),
        ("https://example.org/.bashrc", "is not a valid file name"),
        ("https://example.org/a%00b", "is not a valid file name"),
        ("https://example.org/c%3Aa", "is not a valid file name"),
    ],
)
def test_bad_urls_are_refused(folder, url, message):
    with pytest.raises(ValueError, match=message) as caught:
        fetch_file(url, sha256=SHA256)
    assert "secret" not in str(caught.value)
    assert names(folder) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sha256": "abc"}, "64 hexadecimal"),
        ({"sha256": None}, "64 hexadecimal"),
        ({"filename": "../a"}, "is not a valid file name"),
        ({"max_bytes": 0}, "max_bytes must be at least 1"),
        ({"n_retries": -1}, "n_retries must be at least 0"),
        ({"delay": -1}, "delay must be at least 0"),
        ({"timeout": 0}, "timeout must be a positive"),
        ({"timeout": float("inf")}, "timeout must be a positive"),
    ],
)
def test_bad_arguments_are_refused(folder, options, message):
    with pytest.raises(ValueError, match=message):
        fetch_file("https://example.org/a", **{"sha256": SHA256, **options})


def test_minimum_rate_holds_in_each_period(monkeypatch):
    """Bytes of earlier periods do not count."""
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
