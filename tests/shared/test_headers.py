"""Headers of files: format, schema version and the skdim that wrote them."""

import json
import re

import pytest

from skdim import __version__
from skdim._shared.headers import FileFormat

FORMAT = FileFormat("skdim.Test", 3, "a test file", "write it again")


def refused(text, match):
    with pytest.raises(ValueError, match=match):
        FORMAT.parse(text, "a.json")


def test_a_written_header_is_read():
    header = {**FORMAT.header(), "more": [1]}
    assert header == {"format": "skdim.Test", "schema_version": 3, "skdim_version": __version__, "more": [1]}
    assert FORMAT.parse(json.dumps(header), "a.json") == FORMAT.parse(json.dumps(header).encode(), "a.json") == header


@pytest.mark.parametrize("text", ["", "{", b"\xff", "[" * 100_000])
def test_what_is_not_json_is_refused(text):
    refused(text, r"a\.json is not a test file: its header is not JSON \(")


@pytest.mark.parametrize("text", ["[]", "3", "{}", "null"])
def test_a_header_without_a_format_is_refused(text):
    refused(text, "is not a test file: its header does not name a format")


def test_another_format_is_refused():
    refused('{"format": "other"}', "is not a test file: its format is 'other'")
    refused('{"format": 3}', "its format is 3")


@pytest.mark.parametrize("version", [2, 4, 3.0, True, "3", None, [3]])
def test_another_schema_version_is_refused_with_a_remedy(version):
    message = (
        f"a.json has schema version {version!r}, and this skdim ({__version__}) reads version 3: use skdim 9.9, or"
    )
    text = json.dumps({"format": "skdim.Test", "schema_version": version, "skdim_version": "9.9"})
    refused(text, re.escape(message) + " write it again")


def test_messages_stay_short():
    for text in (json.dumps({"format": "x" * 10**6}), json.dumps({**FORMAT.header(), "schema_version": "9" * 10**6})):
        with pytest.raises(ValueError, match=r"is not a test file|has schema version") as error:
            FORMAT.parse(text, "a.json")
        assert len(str(error.value)) < 300


def test_a_file_is_read(tmp_path):
    file = tmp_path / "header.json"
    with pytest.raises(ValueError, match=r"folder is not a test file: cannot read its header\.json \(.*No such file"):
        FORMAT.read(file, "folder")
    file.write_text(json.dumps(FORMAT.header()))
    assert FORMAT.read(file, "folder", max_bytes=1000) == FORMAT.header()
    with pytest.raises(ValueError, match="it has more than 10 bytes"):
        FORMAT.read(file, "folder", max_bytes=10)
