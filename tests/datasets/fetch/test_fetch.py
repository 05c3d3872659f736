"""Downloads from a well-behaved server."""

from skdim.datasets import fetch_file, get_data_home
from tests.datasets.fetch.server_files import CONTENT, SHA256, assert_fetched, fetch, names
from tests.helpers.loopback import Server, begin, rest, whole


def test_a_file_is_downloaded_once(folder):
    with Server(whole(CONTENT)) as server:
        assert_fetched(fetch(server), folder)
        assert_fetched(fetch(server, sha256=SHA256.upper()), folder)
    ((path, headers),) = server.requests
    assert path == "/data/crystals.json.gz"
    assert headers["user-agent"].startswith("skdim/")
    assert headers["accept-encoding"] == "identity"
    assert "range" not in headers


def test_response_without_content_length(folder):
    def until_closed(handler):
        begin(handler, 200)
        handler.wfile.write(CONTENT)

    with Server(until_closed) as server:
        assert_fetched(fetch(server), folder)


def test_chunked_response(folder):
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


def test_a_file_provided_by_hand_is_used(folder):
    (folder / "crystals.json.gz").write_bytes(CONTENT)
    assert_fetched(fetch_file("https://example.org/crystals.json.gz", sha256=SHA256, download_if_missing=False), folder)


def test_progress_bar_is_shown_on_request(folder, capsys):
    with Server(whole(CONTENT)) as server:
        fetch(server)
        assert capsys.readouterr() == ("", "")
        fetch(server, filename="again.gz", verbose=1)
    assert "again.gz: 300k of 300kB" in capsys.readouterr().err


def test_filename_from_url_or_argument(folder):
    with Server(whole(CONTENT)) as server:
        assert fetch(server, filename="renamed.bin").name == "renamed.bin"
        assert fetch_file(f"{server.url}/a%20b.json?c=d", sha256=SHA256).name == "a b.json"


def test_data_home_from_argument_or_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SKDIM_DATA", raising=False)
    assert get_data_home() == tmp_path / "home" / "skdim_data"
    assert get_data_home("~/other") == tmp_path / "home" / "other"
    monkeypatch.setenv("SKDIM_DATA", str(tmp_path / "set"))
    assert get_data_home() == tmp_path / "set"
    assert get_data_home(tmp_path / "given") == tmp_path / "given"
    assert names(tmp_path) == ["given", "home", "set"]
