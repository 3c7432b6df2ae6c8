"""Messages deflated and inflated (RFC 7692): what comes out, how much at once, and what is no deflate data."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate as WebsocketsDeflate
from websockets.frames import Frame
from websockets.frames import Opcode as WebsocketsOpcode
from wsproto.extensions import PerMessageDeflate as WsprotoDeflate
from wsproto.frame_protocol import FrameProtocol, Opcode, RsvBits

from triows.protocol.websocket.compression import Agreement, Compression, negotiate
from triows.protocol.websocket.deflate import MAX_STREAMS, Deflater, InflateError, Inflater

MIB = 1 << 20
TAIL = b"\x00\x00\xff\xff"
HELLO = bytes.fromhex("f248cdc9c90700")  # RFC 7692, section 7.2.3.1
HELLO_AGAIN = bytes.fromhex("f200110000")  # the same with the window of the first, section 7.2.3.2
HELLO_FINAL = bytes.fromhex("f348cdc9c9070000")  # with BFINAL, section 7.2.3.4

BOTH = Agreement(15, 15, True, True)
NEITHER = Agreement(15, 15, False, False)

agreements = st.builds(Agreement, st.integers(9, 15), st.integers(9, 15), st.booleans(), st.booleans())
settings = st.builds(
    Compression,
    level=st.integers(1, 9),
    mem_level=st.integers(1, 9),
    window_bits=st.integers(9, 15),
    client_window_bits=st.integers(9, 15),
    context_takeover=st.booleans(),
    client_context_takeover=st.booleans(),
)

# What fits into no small window, and repeats what has left it.
WORDS = [bytes(range(256)), b"hello", b"\x00" * 300, b'{"id": 12345, "text": "', bytes(range(255, -1, -1)) * 2]
payloads = st.one_of(
    st.binary(max_size=200),
    st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=40)), max_size=30).map(b"".join),
    st.builds(lambda size: bytes(size), st.integers(0, 100_000)),
)
messages = st.lists(payloads, max_size=6)


def inflated(inflater: Inflater, payload: bytes | Iterable[bytes], max_size: int = MIB) -> bytes:
    """Give a message's payload, whole or in parts, and take everything that comes of it."""
    output = bytearray()

    def take(piece: bytes) -> None:
        assert len(piece) <= max_size
        output.extend(piece)
        while inflater.pending:
            piece = inflater.inflate(b"", max_size)
            assert len(piece) <= max_size
            output.extend(piece)

    for part in [payload] if isinstance(payload, bytes) else payload:
        take(inflater.inflate(part, max_size))
    take(inflater.end(max_size))
    return bytes(output)


def cut(data: bytes, positions: Sequence[int]) -> list[bytes]:
    """The data in parts, which begin at these positions as far as they lie in it."""
    ends = [0, *sorted(position % (len(data) + 1) for position in positions), len(data)]
    return [data[start:end] for start, end in pairwise(ends)]


def compressed(payload: bytes, bits: int = 15, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> bytes:
    """What another implementation makes of a first message."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, -bits, 8, strategy)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)


def final(payload: bytes) -> bytes:
    """One DEFLATE stream, that ends with a final block."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    return compressor.compress(payload) + compressor.flush()


# Negotiation

PMD = "permessage-deflate"
FULL = Compression(window_bits=15, client_window_bits=15)


# Deflating


def test_a_message_is_the_rfcs_example() -> None:
    deflater = Deflater(BOTH, FULL)
    assert deflater.deflate(b"Hello") == HELLO
    assert deflater.deflate(b"Hello") == HELLO_AGAIN


def test_without_context_takeover_messages_are_alike() -> None:
    deflater = Deflater(NEITHER, FULL)
    assert deflater.deflate(b"Hello") == HELLO
    assert deflater.deflate(b"Hello") == HELLO
    assert deflater.piece(b"Hello") + deflater.end() == HELLO
    assert deflater.deflate(b"Hello") == HELLO


def test_an_empty_message_is_one_zero_byte() -> None:
    for agreement in (BOTH, NEITHER):
        deflater = Deflater(agreement, FULL)
        for _ in range(3):
            assert deflater.deflate(b"") == b"\x00"
            assert deflater.end() == b"\x00"
            assert deflater.piece(b"") + deflater.piece(b"") + deflater.end() == b"\x00"
            deflater.deflate(b"Hello")


def test_each_piece_can_be_read_at_once() -> None:
    deflater, inflater = Deflater(BOTH, FULL), Inflater(BOTH)
    for _ in range(2):
        assert inflater.inflate(deflater.piece(b"Hel"), MIB) == b"Hel"
        assert deflater.piece(b"") == b""
        assert inflater.inflate(deflater.piece(b"lo"), MIB) == b"lo"
        assert inflater.inflate(deflater.end(), MIB) == b""
        assert inflater.end(MIB) == b""
        assert inflated(inflater, deflater.deflate(b"whole")) == b"whole"


def test_pieces_hold_back_the_four_bytes_that_no_message_ends_with() -> None:
    deflater = Deflater(BOTH, FULL)
    assert deflater.piece(b"Hello") == HELLO
    assert deflater.piece(b"Hello") == TAIL + HELLO_AGAIN
    assert deflater.end() == b""


@pytest.mark.parametrize("bits", range(9, 16))
def test_the_window_is_no_larger_than_agreed(bits: int) -> None:
    noise = b"".join(zlib.crc32(bytes([n & 255, n >> 8])).to_bytes(4, "big") for n in range((1 << bits) // 4))
    deflater = Deflater(Agreement(bits, 15, True, True), FULL)
    decompressor = zlib.decompressobj(-bits)
    for payload in (noise, noise, noise[:300] * 2, noise[100:]):
        # In one call zlib would let it look back to all that the call has put out.
        data = deflater.deflate(payload) + TAIL
        assert b"".join(decompressor.decompress(data[n : n + 1]) for n in range(len(data))) == payload


@given(agreements, settings, messages, st.lists(st.integers(0, 1 << 20), max_size=6), st.integers(1, 5000))
def test_every_message_is_inflated_to_what_it_was(
    agreement: Agreement, settings: Compression, messages: list[bytes], cuts: list[int], max_size: int
) -> None:
    # Both of our sides: the agreement of one is that of the other, seen from there.
    there = Agreement(15, agreement.server_window_bits, True, agreement.server_context_takeover)
    deflater, inflater = Deflater(agreement, settings), Inflater(there)
    for number, message in enumerate(messages):
        if number & 1:
            payload = b"".join(map(deflater.piece, cut(message, cuts))) + deflater.end()
        else:
            payload = deflater.deflate(message)
        assert inflated(inflater, cut(payload, cuts), max(max_size, len(message) // 500)) == message


# The other side: zlib itself, and other libraries


@pytest.mark.parametrize("takeover", [True, False])
@pytest.mark.parametrize("bits", range(9, 16))
@given(messages=messages)
def test_websockets_reads_and_writes_the_same(bits: int, takeover: bool, messages: list[bytes]) -> None:
    agreement = Agreement(bits, bits, takeover, takeover)
    deflater, inflater = Deflater(agreement, FULL), Inflater(agreement)
    peer = WebsocketsDeflate(not takeover, not takeover, bits, bits)
    for message in messages:
        theirs = peer.encode(Frame(WebsocketsOpcode.BINARY, message))
        assert inflated(inflater, bytes(theirs.data)) == message
        ours = Frame(WebsocketsOpcode.BINARY, deflater.deflate(message), rsv1=True)
        assert peer.decode(ours).data == message


@pytest.mark.parametrize("takeover", [True, False])
@pytest.mark.parametrize("bits", range(9, 16))
@given(messages=messages)
def test_wsproto_reads_and_writes_the_same(bits: int, takeover: bool, messages: list[bytes]) -> None:
    agreement = Agreement(bits, bits, takeover, takeover)
    deflater, inflater = Deflater(agreement, FULL), Inflater(agreement)
    peer = WsprotoDeflate(not takeover, bits, not takeover, bits)
    client = FrameProtocol(client=True, extensions=[])
    none, compressed = RsvBits(False, False, False), RsvBits(True, False, False)
    for message in messages:
        # With context takeover it makes no byte at all of the second empty message in a row.
        _, theirs = peer.frame_outbound(client, Opcode.BINARY, none, message, True)
        assert inflated(inflater, theirs) == message
        peer.frame_inbound_header(client, Opcode.BINARY, compressed, 0)
        start = peer.frame_inbound_payload_data(client, deflater.deflate(message))
        end = peer.frame_inbound_complete(client, True)
        assert isinstance(start, bytes)
        assert isinstance(end, bytes)
        assert start + end == message


@pytest.mark.parametrize(
    "strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED]
)
@given(payload=payloads, max_size=st.integers(1, 3000))
def test_every_kind_of_block_is_inflated(strategy: int, payload: bytes, max_size: int) -> None:
    inflater = Inflater(BOTH)
    assert inflated(inflater, compressed(payload, 15, strategy), max(max_size, len(payload) // 500)) == payload
    assert inflated(inflater, HELLO) == b"Hello"


# Inflating


def test_the_rfcs_examples_are_inflated() -> None:
    inflater = Inflater(BOTH)
    assert inflated(inflater, HELLO) == b"Hello"
    assert inflated(inflater, HELLO_AGAIN) == b"Hello"
    assert inflated(inflater, [HELLO[:3], HELLO[3:]]) == b"Hello"
    assert inflated(inflater, bytes.fromhex("000500faff48656c6c6f00")) == b"Hello"  # section 7.2.3.3
    assert inflated(inflater, bytes.fromhex("f248050000 00ffff cac9c90700")) == b"Hello"  # section 7.2.3.5


@pytest.mark.parametrize("payload", [b"\x00", b"\x02\x00", b"", b"\x00" + TAIL + b"\x00"])
def test_an_empty_message_is_inflated(payload: bytes) -> None:
    for agreement in (BOTH, NEITHER):
        inflater = Inflater(agreement)
        assert inflated(inflater, payload) == b""
        assert inflated(inflater, HELLO) == b"Hello"
        assert inflated(inflater, payload) == b""
        assert inflated(inflater, HELLO_AGAIN if agreement is BOTH else HELLO) == b"Hello"


def test_at_most_max_size_bytes_come_at_once() -> None:
    inflater = Inflater(BOTH)
    assert inflater.inflate(HELLO, 2) == b"He"
    assert inflater.pending
    assert inflater.inflate(b"", 2) == b"ll"
    assert inflater.pending
    assert inflater.end(2) == b"o"
    assert not inflater.pending
    assert inflated(inflater, HELLO_AGAIN) == b"Hello"


def test_input_that_comes_while_there_is_output_to_take_waits_its_turn() -> None:
    inflater = Inflater(BOTH)
    whole = compressed(bytes(range(256)) * 100)
    output = b"".join(inflater.inflate(whole[n : n + 1], 1) for n in range(len(whole)))
    assert inflater.pending
    assert output + inflated(inflater, b"") == bytes(range(256)) * 100


def test_output_of_exactly_max_size_may_be_all() -> None:
    inflater = Inflater(BOTH)
    assert inflater.inflate(HELLO, 5) == b"Hello"
    assert inflater.pending  # for all that is known
    assert inflater.inflate(b"", 5) == b""
    assert not inflater.pending
    assert inflater.end(5) == b""


def test_output_that_zlib_holds_back_is_pending() -> None:
    # A match of 258 bytes, of which there is room for one: all input is taken, and most output is still to come.
    inflater = Inflater(BOTH)
    payload = compressed(bytes(259))
    assert inflater.inflate(payload, 2) == bytes(2)
    assert inflater.pending
    assert inflater.end(200) == bytes(200)
    assert inflater.pending
    assert inflater.inflate(b"", 200) == bytes(57)
    assert not inflater.pending
    assert inflated(inflater, [HELLO[:3], HELLO[3:]]) == b"Hello"


@pytest.mark.parametrize("max_size", [0, -1])
def test_no_room_at_all_is_a_mistake_of_the_caller(max_size: int) -> None:
    # To zlib it would mean that there is no limit.
    with pytest.raises(ValueError, match=f"max_size is {max_size}; it must be at least 1 byte"):
        Inflater(BOTH).inflate(HELLO, max_size)


def test_without_context_takeover_a_message_may_not_look_back() -> None:
    inflater = Inflater(NEITHER)
    assert inflated(inflater, HELLO) == b"Hello"
    with pytest.raises(InflateError, match="message is not DEFLATE: invalid distance too far back"):
        inflated(inflater, HELLO_AGAIN)


def test_a_client_that_ignores_its_window_is_found_out() -> None:
    first, second = bytes(range(256)) * 2 + bytes(2000), bytes(range(256)) * 2
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    payloads = [
        (compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)
        for message in (first, second)
    ]
    inflater = Inflater(Agreement(15, 9, True, True))
    assert inflated(inflater, payloads[0]) == first
    with pytest.raises(InflateError, match="too far back"):
        inflated(inflater, payloads[1])


def test_a_window_of_eight_bits_is_inflated() -> None:
    inflater = Inflater(Agreement(15, 8, True, True))
    assert inflated(inflater, HELLO) == b"Hello"
    assert inflated(inflater, HELLO_AGAIN) == b"Hello"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xff\xff\xff\xff", "message is not DEFLATE: invalid block type"),
        (b"Hello", "message is not DEFLATE: "),
        (b"\x00\x05\x00\x05\x00Hello", "message is not DEFLATE: invalid stored block lengths"),
        (HELLO_AGAIN, "message is not DEFLATE: invalid distance too far back"),
        (HELLO + TAIL, "message is cut off"),
        (HELLO[:-1], "message is cut off"),
        (b"\x00\x05\x00\xfa\xffHel", "message is cut off"),
        (b"\x00\x05", "message is "),
        (final(b"Hello") + b"garbage", "message is not DEFLATE: "),
        (final(b"Hello") + b"\xff" * 8, "message is not DEFLATE: invalid block type"),
        (final(b"Hello")[:-1], "message is "),
    ],
)
def test_what_is_no_deflate_data_is_an_error(payload: bytes, reason: str) -> None:
    with pytest.raises(InflateError, match=f"^{reason}") as caught:
        inflated(Inflater(BOTH), payload)
    assert len(str(caught.value).encode()) <= 123  # it fits into a Close frame


@pytest.mark.parametrize("strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY])
@pytest.mark.parametrize(
    "message", [b'{"id": 1, "text": "hello, hello, hello"}' * 3, bytes(range(256)), bytes(5000), b"".join(WORDS)]
)
def test_a_message_that_is_cut_off_anywhere_is_an_error(message: bytes, strategy: int) -> None:
    payload = compressed(message, strategy=strategy)
    for end in range(2, len(payload)):  # one byte alone may be that of an empty message
        with pytest.raises(InflateError):
            inflated(Inflater(BOTH), payload[:end])


# Blocks with BFINAL set


def test_a_final_block_ends_the_message_and_the_next_one_begins_anew() -> None:
    inflater = Inflater(BOTH)
    assert inflated(inflater, HELLO_FINAL) == b"Hello"
    assert inflated(inflater, HELLO_FINAL) == b"Hello"
    assert inflated(inflater, HELLO) == b"Hello"
    assert inflated(inflater, HELLO_AGAIN) == b"Hello"


def test_the_empty_block_after_a_final_one_may_be_missing() -> None:
    inflater = Inflater(BOTH)
    for max_size in range(1, 7):
        assert inflated(inflater, final(b"Hello"), max_size) == b"Hello"
        assert inflated(inflater, HELLO) == b"Hello"


def test_nothing_looks_back_beyond_a_final_block() -> None:
    inflater = Inflater(BOTH)
    assert inflated(inflater, HELLO_FINAL) == b"Hello"
    with pytest.raises(InflateError, match="too far back"):
        inflated(inflater, HELLO_AGAIN)


def test_blocks_after_a_final_one_belong_to_the_message() -> None:
    inflater = Inflater(BOTH)
    assert inflated(inflater, final(b"Hel") + final(b"") + final(b"lo") + HELLO) == b"HelloHello"
    assert inflated(inflater, HELLO_AGAIN) == b"Hello"


@given(st.lists(payloads, min_size=1, max_size=4), st.lists(st.integers(0, MIB), max_size=6), st.integers(1, 3000))
def test_streams_in_a_row_are_inflated_however_they_are_cut(parts: list[bytes], cuts: list[int], max_size: int) -> None:
    whole = b"".join(parts)
    payload = b"".join(map(final, parts)) + b"\x00"
    inflater = Inflater(NEITHER)
    for _ in range(2):
        assert inflated(inflater, cut(payload, cuts), max(max_size, len(whole) // 500)) == whole


def test_a_message_has_no_more_streams_than_may_be() -> None:
    inflater = Inflater(BOTH)
    for _ in range(2):
        assert inflated(inflater, b"\x03\x00" * MAX_STREAMS) == b""
    with pytest.raises(InflateError, match=f"message has over {MAX_STREAMS} final DEFLATE blocks"):
        inflated(inflater, b"\x03\x00" * (MAX_STREAMS + 1))


# Hostile input, and cost


@given(st.lists(st.binary(max_size=300), max_size=5), agreements, st.integers(1, 5000))
@example([b"\x00\x00"], BOTH, 1)
@example([b"\x03\x00"] * 3, NEITHER, 1)
def test_any_bytes_are_inflated_or_an_error(parts: list[bytes], agreement: Agreement, max_size: int) -> None:
    inflater = Inflater(agreement)
    try:
        for part in parts:
            inflated(inflater, [part, part], max_size)
    except InflateError:
        pass


@given(messages, st.data())
def test_damaged_messages_are_inflated_or_an_error(messages: list[bytes], data: st.DataObject) -> None:
    deflater, inflater = Deflater(BOTH, FULL), Inflater(BOTH)
    try:
        for message in messages:
            payload = bytearray(deflater.deflate(message))
            payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
            inflated(inflater, bytes(payload), 10_000)
    except InflateError:
        pass


def peak(function: Any, *args: Any) -> tuple[int, Any]:
    """The most memory in bytes that a call had taken, and its result."""
    tracemalloc.start()
    try:
        result = function(*args)
        return tracemalloc.get_traced_memory()[1], result
    finally:
        tracemalloc.stop()


def test_a_bomb_takes_no_more_memory_than_the_limit_lets_it() -> None:
    bomb = compressed(bytes(64 * MIB))
    inflater = Inflater(BOTH)
    used, output = peak(inflater.inflate, bomb, MIB)
    assert output == bytes(MIB)
    assert inflater.pending
    assert used < 2 * MIB + 128 * 1024  # the output, in blocks and in one; the window


def test_a_bomb_is_taken_in_small_pieces_at_linear_cost() -> None:
    inflater = Inflater(BOTH)
    inflater.inflate(compressed(bytes(64 * MIB)), 1)
    used, output = peak(lambda: [inflater.inflate(b"", 1000) for _ in range(1000)])
    assert sum(map(len, output)) == 1_000_000
    assert used < 2 * MIB


def test_what_waits_is_not_copied_again_and_again() -> None:
    noise = b"".join(zlib.crc32(number.to_bytes(4, "big")).to_bytes(4, "big") for number in range(MIB // 4))
    payload = compressed(noise)
    inflater = Inflater(BOTH)
    used, output = peak(inflater.inflate, payload, 1000)
    assert output == noise[:1000]
    assert used < 128 * 1024


def test_a_context_is_made_on_first_use() -> None:
    used, _ = peak(lambda: [(Deflater(BOTH, FULL), Inflater(BOTH)) for _ in range(100)])
    assert used / 100 < 512


def test_without_context_takeover_nothing_is_kept_between_messages() -> None:
    deflater, inflater = Deflater(NEITHER, FULL), Inflater(NEITHER)
    tracemalloc.start()
    try:
        for _ in range(3):
            assert inflated(inflater, deflater.deflate(b"Hello" * 100)) == b"Hello" * 100
            assert inflated(inflater, deflater.piece(b"Hello" * 100) + deflater.end()) == b"Hello" * 100
            assert inflated(inflater, HELLO_FINAL) == b"Hello"
        assert tracemalloc.get_traced_memory()[0] < 4096
    finally:
        tracemalloc.stop()


def test_the_default_settings_keep_a_connection_within_these_bounds() -> None:
    agreement = negotiate(["permessage-deflate; client_max_window_bits"], Compression())
    assert agreement is not None
    message = bytes(range(256)) * 100

    def use() -> tuple[Deflater, Inflater]:
        deflater, inflater = Deflater(agreement, Compression()), Inflater(agreement)
        assert inflated(inflater, deflater.deflate(message)) == message
        return deflater, inflater

    tracemalloc.start()
    try:
        kept = use()
        assert tracemalloc.get_traced_memory()[0] < 64 * 1024
        del kept
    finally:
        tracemalloc.stop()
