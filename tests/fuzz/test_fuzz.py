"""What fuzzing began with, and what it found: each is run through its target, without the fuzzer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from triows.protocol.websocket.deflate import Inflater

from ..support.wire import frame
from . import __main__ as command
from . import serving
from .cuts import cut, other_cuts
from .responses import read_answers
from .targets import SEEDS, TARGETS, seeds


@pytest.fixture(autouse=True)
def _no_server_stays() -> Iterator[None]:
    yield
    serving.close()


@pytest.mark.parametrize("name", TARGETS)
def test_every_seed_is_handled_as_promised(name: str) -> None:
    run = TARGETS[name].load()
    for seed in seeds(name):
        try:
            run(seed.read_bytes())
        except BaseException as error:
            error.add_note(f"the input is {seed}")
            raise


def test_every_folder_of_seeds_has_its_target() -> None:
    assert {folder.name for folder in SEEDS.iterdir()} == TARGETS.keys()


def test_inputs_are_cut_into_all_their_bytes() -> None:
    assert cut(b"abcdef", [2, 4, 2, 99]) == [b"ab", b"cd", b"ef"]
    for pieces in other_cuts(bytes(range(64))):
        assert b"".join(pieces) == bytes(range(64))
        assert len(pieces) > 1


# The targets find what is broken


def test_an_answer_that_depends_on_the_cut_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    end = Inflater.end
    monkeypatch.setattr(Inflater, "end", lambda self, size: b"x" if self.pending else end(self, size))
    monkeypatch.setattr(Inflater, "inflate", lambda self, data, size: data[:1])
    with pytest.raises(AssertionError):
        TARGETS["protocol"].load()(b"\x01" + frame(1, b"compressed, or not", reserved=0x40))


def test_an_error_of_the_server_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triows.server.http1.HTTP1Connection._serve_requests", lambda self: 1 / 0)
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        TARGETS["http"].load()(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nhello",
        b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\nb\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x05hell",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x88\x00\x81\x00",
    ],
)
def test_a_malformed_answer_is_found(sent: bytes) -> None:
    with pytest.raises(AssertionError):
        read_answers(sent, ["GET"])


# The command


def test_an_input_is_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "input"
    path.write_bytes(b"Host: a")
    assert command.main(["handshake", "--replay", str(path)]) == 0
    assert "nothing wrong" in capsys.readouterr().out


def test_without_atheris_it_says_so_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert command.main(["protocol"]) == 2
    said = capsys.readouterr().err
    assert "pip install --group fuzz" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("arguments", [["nothing"], ["--seconds", "0"], ["--replay", "file"]])
def test_what_cannot_be_meant_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(arguments)
    assert "error:" in capsys.readouterr().err
