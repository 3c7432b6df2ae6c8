"""The settings of compression, and what is agreed on with a client's offers (RFC 7692, 5 and 7.1)."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from triows.protocol.websocket.compression import Agreement, Compression, negotiate

BOTH = Agreement(15, 15, True, True)
settings = st.builds(
    Compression,
    level=st.integers(1, 9),
    mem_level=st.integers(1, 9),
    window_bits=st.integers(9, 15),
    client_window_bits=st.integers(9, 15),
    context_takeover=st.booleans(),
    client_context_takeover=st.booleans(),
)


# Settings


def test_settings_have_their_defaults() -> None:
    settings = Compression()
    assert (settings.min_size, settings.level, settings.mem_level) == (128, 3, 5)
    assert (settings.window_bits, settings.client_window_bits) == (12, 12)
    assert settings.context_takeover
    assert settings.client_context_takeover
    assert settings == Compression()
    assert hash(settings) == hash(Compression())


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("min_size", -1, "it must be a number of bytes, or 0 to compress every message"),
        ("level", 0, "it must be from 1 to 9"),
        ("level", 10, "it must be from 1 to 9"),
        ("mem_level", 0, "it must be from 1 to 9"),
        ("mem_level", 10, "it must be from 1 to 9"),
        ("window_bits", 8, "it must be from 9 to 15"),
        ("window_bits", 16, "it must be from 9 to 15"),
        ("client_window_bits", 8, "it must be from 9 to 15"),
        ("client_window_bits", 16, "it must be from 9 to 15"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name: str, value: int, remedy: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{name} is {value}; {remedy}")):
        Compression(**{name: value})


@pytest.mark.parametrize("value", ["9", 9.0, None, True])
@pytest.mark.parametrize("name", ["min_size", "level", "mem_level", "window_bits", "client_window_bits"])
def test_settings_that_are_no_numbers_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=re.escape(f"{name} is {value!r}; it must be a whole number (int)")):
        Compression(**{name: value})


@pytest.mark.parametrize("value", [0, 1, None, "yes"])
@pytest.mark.parametrize("name", ["context_takeover", "client_context_takeover"])
def test_settings_that_are_no_switches_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"^{name} is {value!r}; it must be True or False"):
        Compression(**{name: value})


# Negotiation

PMD = "permessage-deflate"
FULL = Compression(window_bits=15, client_window_bits=15)


@pytest.mark.parametrize(
    ("settings", "offer", "agreement"),
    [
        (FULL, PMD, Agreement(15, 15, True, True, PMD)),
        (FULL, f" {PMD} ", Agreement(15, 15, True, True, PMD)),
        (Compression(), PMD, Agreement(12, 15, True, True, PMD)),
        (FULL, f"{PMD}; client_max_window_bits", Agreement(15, 15, True, True, PMD)),
        (
            Compression(),
            f"{PMD}; client_max_window_bits",
            Agreement(12, 12, True, True, f"{PMD}; client_max_window_bits=12"),
        ),
        (
            Compression(),
            f"{PMD}; client_max_window_bits=10",
            Agreement(12, 10, True, True, f"{PMD}; client_max_window_bits=10"),
        ),
        (
            Compression(),
            f"{PMD}; client_max_window_bits=8",
            Agreement(12, 8, True, True, f"{PMD}; client_max_window_bits=8"),
        ),
        (
            Compression(),
            f"{PMD}; client_max_window_bits=15",
            Agreement(12, 12, True, True, f"{PMD}; client_max_window_bits=12"),
        ),
        (
            Compression(),
            f"{PMD}; server_max_window_bits=15",
            Agreement(12, 15, True, True, f"{PMD}; server_max_window_bits=12"),
        ),
        (
            Compression(),
            f"{PMD}; server_max_window_bits=9",
            Agreement(9, 15, True, True, f"{PMD}; server_max_window_bits=9"),
        ),
        (
            FULL,
            f"{PMD};server_no_context_takeover",
            Agreement(15, 15, False, True, f"{PMD}; server_no_context_takeover"),
        ),
        (
            FULL,
            f"{PMD}\t;\tclient_no_context_takeover",
            Agreement(15, 15, True, False, f"{PMD}; client_no_context_takeover"),
        ),
        (
            Compression(context_takeover=False, client_context_takeover=False),
            PMD,
            Agreement(12, 15, False, False, f"{PMD}; server_no_context_takeover; client_no_context_takeover"),
        ),
        (
            Compression(),
            f"{PMD} ; client_max_window_bits = 11 ; server_max_window_bits = 10"
            " ; server_no_context_takeover ; client_no_context_takeover",
            Agreement(
                10,
                11,
                False,
                False,
                f"{PMD}; server_no_context_takeover; client_no_context_takeover"
                "; server_max_window_bits=10; client_max_window_bits=11",
            ),
        ),
        (
            Compression(),
            f'{PMD}; server_max_window_bits="10"; client_max_window_bits="\\1\\1"',
            Agreement(10, 11, True, True, f"{PMD}; server_max_window_bits=10; client_max_window_bits=11"),
        ),
    ],
)
def test_an_offer_is_accepted_on_these_terms(settings: Compression, offer: str, agreement: Agreement) -> None:
    assert negotiate([offer], settings) == agreement


@pytest.mark.parametrize(
    "parameters",
    [
        "unknown",
        "unknown=1",
        "Client_Max_Window_Bits",
        "server_no_context_takeover=1",
        "server_no_context_takeover=true",
        'server_no_context_takeover=""',
        "client_no_context_takeover=1",
        'client_no_context_takeover="10"',
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits; client_max_window_bits=10",
        "server_max_window_bits=10; server_max_window_bits=10",
        "server_max_window_bits",
        *(
            f"{name}_max_window_bits={value}"
            for name in ("server", "client")
            for value in (
                *("7", "16", "0", "-9", "+9", "09", "010", "9.0", "1e1", "abc", "150", "١٠", "", "1 0", "=10"),
                *('""', '" 10"', '"10', '10"', '"10"10', '"10\\', "'10'", '"010"', '"16"'),
            )
        ),
        # zlib has no raw window of 256 bytes.
        "server_max_window_bits=8",
        'server_max_window_bits="8"',
        # What the handshake would have refused.
        "",
        "; client_max_window_bits",
        "=10",
        '"client_max_window_bits"',
        "client_max_window_bits 10",
    ],
)
def test_a_bad_offer_is_declined_and_the_next_one_taken(parameters: str) -> None:
    bad = f"{PMD}; {parameters}"
    if parameters:
        assert negotiate([bad], FULL) is None
    assert negotiate([f"{PMD}; server_max_window_bits=10; x, {PMD}"], FULL) == BOTH
    if '"' not in parameters:  # an open quote would take in what follows
        good = f"{PMD}; server_max_window_bits=11"
        found = negotiate([f"{PMD}; unknown; {parameters}, {good}"], FULL)
        assert found is not None
        assert found.header == good


@pytest.mark.parametrize(
    "offers",
    [
        [],
        [""],
        [",", " , "],
        ["permessage-bzip2"],
        ["x-webkit-deflate-frame"],
        ["PERMESSAGE-DEFLATE"],
        [f'other; a="{PMD}"'],
        [f'other; a=", {PMD}"'],
        [f'other; a="\\", {PMD}"'],
    ],
)
def test_without_an_offer_nothing_is_compressed(offers: list[str]) -> None:
    assert negotiate(offers, Compression()) is None


@pytest.mark.parametrize(
    "offers",
    [
        ["other", PMD],
        [f"other; a=b, {PMD}"],
        [f'other; a="b, c; d", {PMD}'],
        [f"{PMD}; unknown", PMD],
        [f"{PMD}; unknown, {PMD}; server_max_window_bits=8", f"other,, {PMD}"],
        [PMD, f"{PMD}; server_max_window_bits=10"],
    ],
)
def test_the_first_good_offer_of_all_lines_is_taken(offers: list[str]) -> None:
    assert negotiate(offers, FULL) == BOTH


PARAMETERS = ["server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits"]

PARAMETERS += ["client_max_window_bits", "other"]
texts = st.text(st.sampled_from('ab1089;,= \t"\\\x00é\n'), max_size=12)
parameters = st.builds(
    str.__add__,
    st.sampled_from(PARAMETERS) | texts,
    st.sampled_from(["", '="', "=9"]) | st.integers(7, 16).map("={}".format) | texts,
)
offers = st.builds(lambda parts: "; ".join([PMD, *parts]), st.lists(parameters, max_size=4)) | texts
lines = st.lists(st.lists(offers, max_size=3).map(", ".join), max_size=3)


@given(lines, settings)
@example([f'{PMD}; server_no_context_takeover=9; server_no_context_takeover="; x="'], FULL)  # SystemError in re
def test_any_offers_are_declined_or_accepted_on_terms_that_keep_to_them(
    lines: list[str], settings: Compression
) -> None:
    agreement = negotiate(lines, settings)
    if agreement is None:
        return
    name, *answer = agreement.header.split("; ")
    assert name == PMD
    assert len(answer) == len(set(answer))
    assert 9 <= agreement.server_window_bits <= settings.window_bits
    assert ("server_no_context_takeover" in answer) is not agreement.server_context_takeover
    assert ("client_no_context_takeover" in answer) is not agreement.client_context_takeover
    assert settings.context_takeover or not agreement.server_context_takeover
    assert settings.client_context_takeover or not agreement.client_context_takeover
    told = [parameter for parameter in answer if parameter.startswith("client_max_window_bits")]
    assert told == [f"client_max_window_bits={agreement.client_window_bits}"] * (agreement.client_window_bits < 15)
    if told:
        assert any("client_max_window_bits" in line for line in lines)
    # What was answered is an offer that we take on the same terms.
    again = negotiate([agreement.header], FULL)
    assert again is not None
    assert again.header == agreement.header


@pytest.mark.parametrize("filler", ['"', "\\", '\\"', ";", "; ", ",", f"{PMD}; x, ", "=", '="', " ", '";', '",', "a"])
@pytest.mark.parametrize("start", ["", f"{PMD}; ", f'{PMD}; a="', f"{PMD}; a="])
def test_judging_offers_costs_no_more_than_the_header_is_long(start: str, filler: str) -> None:
    line = start + filler * (16_000 // len(filler))
    begin = time.process_time()
    assert negotiate([line], FULL) is None
    assert time.process_time() - begin < 0.5  # milliseconds; a quadratic search takes seconds
