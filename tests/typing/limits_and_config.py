"""Limits, configuration, and figures."""

import json
import tomllib
from collections.abc import Mapping
from typing import Any, assert_type

from triows import Compression, Config, ServerLimits, Stats, WebSocketLimits

limits = WebSocketLimits(max_message_size=1024, ping_interval=None, compression=Compression(level=1))
assert_type(limits.max_message_size, int)
assert_type(limits.ping_interval, float | None)
assert_type(limits.max_message_rate, float | None)
assert_type(limits.compression, bool | Compression)
assert_type(limits.origins, tuple[str, ...] | None)
assert_type(limits.subprotocols, tuple[str, ...])
WebSocketLimits(1024)
WebSocketLimits(max_message_size="1 MiB")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
WebSocketLimits(max_size=1024)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
limits.max_message_size = 5  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]

server_limits = ServerLimits(max_connections=10, trusted_proxies=("127.0.0.1",))
assert_type(server_limits.max_body_size, int)
assert_type(server_limits.max_connections_per_client, int | None)
assert_type(server_limits.max_handshake_rate, float | None)
assert_type(server_limits.keep_alive_timeout, float | None)
assert_type(server_limits.trusted_hosts, tuple[str, ...] | None)
ServerLimits(trusted_proxies=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

assert_type(Compression().window_bits, int)
assert_type(Compression().context_takeover, bool)
Compression(level="best")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def configure(config: Config) -> None:
    config["SECRET_KEY"] = "secret"
    assert_type(config["DEBUG"], Any)
    assert_type(config.from_mapping({"DEBUG": True}, TESTING=True), bool)
    assert_type(config.from_object("settings"), None)
    assert_type(config.from_pyfile("settings.py", silent=True), bool)
    assert_type(config.from_envvar("SETTINGS", True), bool)
    assert_type(config.from_file("config.toml", tomllib.load, text=False), bool)
    assert_type(config.from_prefixed_env("APP", loads=json.loads), bool)
    assert_type(config.get_namespace("MAIL_"), dict[str, Any])
    config[5] = "five"  # type: ignore[index]  # pyright: ignore[reportArgumentType]
    config.from_file("config.toml")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    config.debug  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # noqa: B018


def look(stats: Stats) -> None:
    assert_type(stats.connections_open, int)
    assert_type(stats.requests, Mapping[str, int])
    assert_type(stats.disconnects, Mapping[str, int])
    assert_type(stats.as_dict(), dict[str, Any])
    stats.stalls = 0  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    stats.requests["2xx"] = 0  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
