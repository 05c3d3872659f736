"""CSV tables: rows that fit the header are read unchanged, others are errors."""

import csv
import tracemalloc

import pytest

from skdim._structures.sources import csv_tables as _csv
from skdim._structures.sources.csv_tables import csv_columns, csv_rows

CELLS = ["plain", "a,b", 'a "quoted" word', "two\nlines", "two\r\nlines", "", " spaces ", "é ½", "1e400", "x" * 200_000]


def rows(path, content, names=("b",)):
    path.write_bytes(content)
    return [list(row) for row in csv_rows(path, list(names))]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_cells_are_read_as_they_were_written(tmp_path, newline, encoding):
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.writer(file, lineterminator=newline)
        writer.writerows([["id", "b"], *([str(k), cell] for k, cell in enumerate(CELLS))])
    assert csv_columns(path) == ["id", "b"]
    assert list(csv_rows(path, ["b", "id"])) == [[cell, str(k)] for k, cell in enumerate(CELLS)]
    assert list(csv_rows(path, ["b", "b"])) == [[cell, cell] for cell in CELLS]


def test_empty_lines_are_ignored(tmp_path):
    assert rows(tmp_path / "a.csv", b'\nb\n\n1\n\n""\n\n') == [["1"], [""]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: a CSV table begins with the names of its columns"),
        (b"\n\n", "is empty"),
        (b"a,b\n1,2\n1,2,3\n", "the row that ends in line 3 has 3 cells, and the header 2"),
        (b'a,b\n1,"2\n\n"\n1\n', "the row that ends in line 5 has 1 cells, and the header 2"),
        (b"a,b\n1,\xff\n", "not a CSV table in UTF-8, or damaged .*can't decode byte 0xff"),
        (b'a,b\n1,"2\n', "damaged .*unexpected end of data"),
        (b'a,b\n1,"2"3\n', "near line 2: ',' expected after '\"'"),
        (b"a,b,b\n1,2,3\n", "has 2 columns 'b': rename all but one"),
    ],
)
def test_invalid_tables_are_errors(tmp_path, content, message):
    with pytest.raises(ValueError, match=message) as error:
        rows(tmp_path / "a.csv", content)
    assert "a.csv" in str(error.value)


@pytest.mark.parametrize("line", [b"x", b'"x",', b'"\n",', b'a,"', b'","\n'])
def test_the_length_of_a_row_is_limited(tmp_path, monkeypatch, line):
    """Its memory is bounded, whether it has one cell or many, one line or many."""
    monkeypatch.setattr(_csv, "MAX_ROW", 10_000)
    path = tmp_path / "a.csv"
    path.write_bytes(b'a,b\n1,2\n"' + line * (2_000_000 // len(line)))
    tracemalloc.start()
    reader = csv_rows(path, ["b"])
    assert next(reader) == ["2"]
    with pytest.raises(ValueError, match=r"a row has more than .* million characters|',' expected|has \d+ cells"):
        list(reader)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000


def test_a_file_of_a_gigabyte_is_refused_early(tmp_path):
    """A sparse file of zeros after the header is refused once a row is larger than any CIF."""
    path = tmp_path / "big.csv"
    with path.open("wb") as file:
        file.write(b"cif\n")
        file.truncate(2**30)
    with pytest.raises(ValueError, match="a row has more than 67 million characters; is a quote never closed"):
        list(csv_rows(path, ["cif"]))
