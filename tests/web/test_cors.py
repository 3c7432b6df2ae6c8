"""Policies for CORS by themselves: what they take, and the headers that they make of a request's."""

from __future__ import annotations

import re
from typing import Any

import pytest

from triows import CORS
from triows.protocol.head import Head
from triows.protocol.headers import Headers

A, B = "https://a.example", "https://b.example"


def head(origin: str | None, method: str = "GET", **fields: str) -> Head:
    headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
    if origin is not None:
        headers.append((b"origin", origin.encode()))
    return Head(method, b"/", b"", [(b"host", b"own.example"), *headers], "1.1", "https")


def added(policy: CORS, origin: str | None, *headers: tuple[bytes, bytes]) -> dict[str, str]:
    lines = [*headers]
    policy.add_to(head(origin), lines)
    return as_dict(lines)


def as_dict(headers: Headers) -> dict[str, str]:
    assert len({name for name, _ in headers}) == len(headers)
    return {name.decode(): value.decode() for name, value in headers}


def preflight(
    policy: CORS, origin: str, method: str, headers: str | None = None, takes: set[str] | None = None
) -> tuple[int, dict[str, str], str]:
    fields = {} if headers is None else {"access_control_request_headers": headers}
    request = head(origin, "OPTIONS", access_control_request_method=method, **fields)
    status, lines, body = policy.answer_preflight(request, takes)
    return status, as_dict(lines), body.decode()


# Responses


def test_an_allowed_origin_is_named() -> None:
    assert added(CORS([A]), A) == {"access-control-allow-origin": A, "vary": "Origin"}


@pytest.mark.parametrize("origin", [B, "null", "https://a.example.evil.example", "nonsense", None])
def test_for_all_others_the_answer_only_varies(origin: str | None) -> None:
    assert added(CORS([A], credentials=True, expose_headers=["X-Total"]), origin) == {"vary": "Origin"}


def test_credentials_are_allowed_to_an_allowed_origin() -> None:
    assert added(CORS(A, credentials=True), A) == {
        "access-control-allow-origin": A,
        "access-control-allow-credentials": "true",
        "vary": "Origin",
    }


@pytest.mark.parametrize("origin", [A, None])
def test_for_all_origins_the_answer_is_the_same(origin: str | None) -> None:
    headers = added(CORS("*", expose_headers=["X-Total", "Link"]), origin)
    assert headers == {"access-control-allow-origin": "*", "access-control-expose-headers": "X-Total, Link"}


@pytest.mark.parametrize(
    ("origins", "origin"),
    [
        (["https://*.example.com"], "https://x.example.com"),
        (["null"], "null"),
        (["https://A.example:443"], A),
        (["self"], "https://own.example"),
        ("https://b.example, https://a.example", A),
    ],
)
def test_origins_are_what_they_are_for_websockets(origins: Any, origin: str) -> None:
    assert added(CORS(origins), origin)["access-control-allow-origin"] == origin


@pytest.mark.parametrize(
    ("own", "vary"),
    [(b"Cookie", "Cookie, Origin"), (b"*", "*"), (b"origin", "origin"), (b"", "Origin")],
)
def test_what_the_response_varies_with_already_stays(own: bytes, vary: str) -> None:
    assert added(CORS([A]), A, (b"vary", own))["vary"] == vary


def test_a_response_with_its_own_headers_is_left_alone() -> None:
    assert added(CORS([A]), A, (b"access-control-allow-origin", b"*")) == {"access-control-allow-origin": "*"}


# Preflights


def test_a_preflight_is_answered_with_what_is_allowed() -> None:
    assert preflight(CORS([A], credentials=True), A, "PUT", "X-Token, content-type", {"PUT", "GET"}) == (
        204,
        {
            "access-control-allow-origin": A,
            "access-control-allow-credentials": "true",
            "access-control-allow-methods": "GET, PUT",
            "access-control-allow-headers": "x-token, content-type",
            "access-control-max-age": "600",
            "vary": "Origin, Access-Control-Request-Headers",
        },
        "",
    )


def test_a_preflight_for_all_origins() -> None:
    assert preflight(CORS("*", max_age=None), A, "PUT", takes={"PUT"}) == (
        204,
        {"access-control-allow-origin": "*", "access-control-allow-methods": "PUT"},
        "",
    )


def test_without_a_route_any_method_may_learn_that_there_is_none() -> None:
    status, headers, _ = preflight(CORS("*"), A, "DELETE")
    assert (status, headers["access-control-allow-methods"]) == (204, "DELETE")


@pytest.mark.parametrize(
    ("policy", "origin", "method", "headers", "reason"),
    [
        (CORS([A]), B, "PUT", None, "pages of this origin may not read this"),
        (CORS([A]), A, "PATCH", None, "pages may not use this method here; they may use GET, PUT"),
        (CORS([A], methods=["post"]), A, "PUT", None, "pages may not use this method here; they may use POST"),
        (CORS([A], headers=["X-Token"]), A, "PUT", "range,x-other", "pages may not set the header x-other here"),
        (CORS([A]), A, "PUT", "x-a, (x)", "Access-Control-Request-Headers is malformed"),
        (CORS([A]), A, "P T", None, "Access-Control-Request-Method is malformed"),
    ],
)
def test_what_is_not_allowed_gets_403_and_no_header_of_cors(
    policy: CORS, origin: str, method: str, headers: str | None, reason: str
) -> None:
    expected = {"vary": "Origin", "content-type": "text/plain; charset=utf-8"}
    assert preflight(policy, origin, method, headers, {"GET", "PUT"}) == (403, expected, f"CORS: {reason}\n")


@pytest.mark.parametrize("asked", ["x-token", "X-TOKEN,Content-Type", " accept , range ", "", ","])
def test_names_of_headers_compare_without_regard_to_case(asked: str) -> None:
    assert preflight(CORS([A], headers=["x-Token"]), A, "PUT", asked, {"PUT"})[0] == 204


# Bad input


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"origins": "*", "credentials": True},
            ValueError,
            "origins is '*' with credentials=True, so that every page on the web could act as the visitor, which"
            " browsers refuse (Fetch, 3.3.5); list the origins, or leave credentials out",
        ),
        ({"origins": []}, ValueError, "origins is empty, so that no page could read anything; leave CORS out instead"),
        (
            {"origins": ["a.example"]},
            ValueError,
            "origins holds 'a.example'; an origin is a scheme and a host without a path, like 'https://example.com'",
        ),
        (
            {"origins": 5},
            TypeError,
            "origins is 5; it must be a list or tuple of strings, like ['https://example.com']",
        ),
        ({"origins": A, "credentials": 1}, TypeError, "credentials is 1; it must be True or False"),
        (
            {"origins": A, "methods": ["*"]},
            ValueError,
            "methods holds '*'; leave it out to allow all",
        ),
        (
            {"origins": A, "credentials": True, "expose_headers": ["*"]},
            ValueError,
            "expose_headers holds '*', which has no meaning with credentials=True; list the headers",
        ),
        (
            {"origins": A, "headers": ["X Token"]},
            ValueError,
            "headers holds 'X Token'; it must be a name, like 'X-Token'",
        ),
        ({"origins": A, "max_age": -1}, ValueError, "max_age is -1; it must be at least 0"),
        ({"origins": A, "max_age": "1"}, TypeError, "max_age is '1'; it must be a whole number (int)"),
    ],
)
def test_what_no_policy_is(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        CORS(**arguments)
