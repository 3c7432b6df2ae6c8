"""Fields of requests: what makes no sense in them is no error, and takes no time worth mentioning."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from werkzeug.datastructures import IfRange
from werkzeug.sansio.http import parse_cookie

from triows import Request
from triows.protocol.head import Head
from triows.web.clientless import ClientlessConnection


def request(*fields: tuple[bytes, str]) -> Request:
    headers = [(name, value.encode("latin-1")) for name, value in fields]
    return Request(ClientlessConnection(Head("GET", b"/", b"", headers, "1.1", "http"), b""))


# Dates

OUT_OF_RANGE = [
    "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
    "Mon, 01 Jan 2020 99999999999:00:00 GMT",
    "Mon, 01 Jan 2020 00:00:00 +99999999999999",
    "Mon, 99 Jan 2020 00:00:00 GMT",
    "Mon, 01 Jan " + "9" * 5000 + " 00:00:00 GMT",
]


@pytest.mark.parametrize("date", OUT_OF_RANGE, ids=range(len(OUT_OF_RANGE)))
def test_a_date_that_is_none_is_left_out(date: str) -> None:
    names = (b"date", b"if-modified-since", b"if-unmodified-since", b"if-range")
    found = request(*[(name, date) for name in names])
    assert (found.date, found.if_modified_since, found.if_unmodified_since) == (None, None, None)
    assert (found.if_range.date, found.if_range.etag) == (None, date)


def test_a_date_is_read() -> None:
    names = (b"date", b"if-modified-since", b"if-unmodified-since", b"if-range")
    found = request(*[(name, "Wed, 01 Jan 2020 00:00:00 GMT") for name in names])
    due = datetime(2020, 1, 1, tzinfo=UTC)
    assert found.date == found.if_modified_since == found.if_unmodified_since == found.if_range.date == due


@pytest.mark.parametrize(
    ("field", "etag"), [('"a b"', "a b"), ('W/"a"', "a"), ("a", "a"), ('a"b', "a%22b"), ("", None)]
)
def test_a_tag_is_read_from_if_range(field: str, etag: str | None) -> None:
    found = request((b"if-range", field)).if_range
    assert (found.date, found.etag) == (None, etag)
    assert str(found) == str(IfRange(etag))


# Time


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        (b"cookie", "a=" + " " * 14_000 + '"', lambda found: found.cookies),
        (b"cookie", 'a="b";c =' + "\t " * 7_000 + '"', lambda found: found.cookies),
        (b"accept", "a/b" + " " * 14_000 + "x", lambda found: found.accept_mimetypes.best_match(["text/html"])),
        (b"accept", 'a/b;c="' + "\t" * 14_000 + 'x"', lambda found: "text/html" in found.accept_mimetypes),
    ],
)
def test_white_space_takes_linear_time(name: bytes, value: str, read: Callable[[Request], Any]) -> None:
    found = request((name, value))
    start = time.process_time()
    read(found)
    assert time.process_time() - start < 0.1  # it is about a millisecond; quadratic time is 250 of them and more


@pytest.mark.parametrize(
    "field",
    [
        "a=1; b=2",
        "a = 1;b\t=\t2 ; c = ; d",
        'a="b =  c"; d= "e  f"',
        'a="\\073 = \\"  b"; c=d',
        'a= "b;c= d; e =  f',
        "=a; b = c d;; e=  ;f=g",
        "a= \xff; \xc3\xa4=b",
    ],
)
def test_cookies_are_those_that_werkzeug_reads(field: str) -> None:
    assert list(request((b"cookie", field)).cookies.items(multi=True)) == list(parse_cookie(field).items(multi=True))


def test_several_cookie_fields_are_one() -> None:
    assert request((b"cookie", "a= 1"), (b"cookie", "b=2; a=3")).cookies.to_dict(flat=False) == {
        "a": ["1", "3"],
        "b": ["2"],
    }


def test_an_accept_field_keeps_its_order_and_parameters() -> None:
    found = request((b"accept", "text/html ;  level=1  ;q=0.5,   application/json")).accept_mimetypes
    assert str(found) == "text/html; level=1;q=0.5,application/json"
    assert found.best_match(["text/html", "application/json"]) == "application/json"
