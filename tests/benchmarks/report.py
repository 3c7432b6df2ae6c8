"""Tables and the chart, made of results: Markdown for the terminal, reStructuredText and SVG for the documentation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .chart import Bar, Group, bar_chart
from .engine import PARTS
from .fleet import PEERS
from .measure import Row
from .results import Measured, Results
from .works import WORKS, Kind, Work

_BUSY_LOAD = 0.9
_CHARTED = ("ping-pong", "alone", "pipelined")
_YARDSTICK = "raw Trio stream"


@dataclass(frozen=True)
class Table:
    """One table; its first column is text, the others are numbers."""

    title: str
    text: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


# Figures


def number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _rate(row: Row) -> str:
    text = f"{row.figures['rate']:,.0f}"
    return f"≥ {text}" if row.figures.get("load", 0) >= _BUSY_LOAD else text


def _figure(key: str) -> Callable[[Row], str]:
    return lambda row: number(row.figures[key]) if key in row.figures else ""


def _ratio(row: Row) -> str:
    return f"{row.figures['ratio']:.2f}" if "ratio" in row.figures else ""


def _pair(key: str) -> Callable[[Row], str]:
    return lambda row: f"{number(row.figures[f'{key}_few'])} / {number(row.figures[f'{key}_many'])}"


_Columns = dict[str, Callable[[Row], str]]


def _rates(operation: str) -> _Columns:
    return {f"{operation}s/s": _rate, "triows / it": _ratio, f"cpu µs a {operation}": _figure("cpu")}


_TIMES: _Columns = {"p50 µs": _figure("p50"), "p99 µs": _figure("p99")}
_COLUMNS: dict[Kind, _Columns] = {
    "echo": {**_rates("message"), **_TIMES},
    "http": {**_rates("request"), **_TIMES},
    "handshake": _rates("handshake"),
    "idle": {"KiB a connection": _figure("memory"), "it / triows": _ratio},
    "syscalls": {"calls a message": _figure("calls"), "it / triows": _ratio},
    "scale": {
        "connections": _figure("connections"),
        "s to open them": _figure("seconds"),
        "KiB each": _figure("memory"),
        "p50 µs, few / all": _pair("p50"),
        "p99 µs, few / all": _pair("p99"),
        "cpu µs a message, few / all": _pair("cpu"),
    },
}


# Tables


def work_table(work: Work, measured: Measured) -> Table:
    """The table of one work."""
    columns = _COLUMNS[work.kind]
    present = [row for row in measured.rows if row.figures]
    rows = [[row.server, *(column(row) for column in columns.values())] for row in present]
    notes = [f"Left out: {row.server} ({row.problem})." for row in measured.rows if row.problem]
    if any(row.figures.get("load", 0) >= _BUSY_LOAD for row in present):
        notes.append("≥: the load was at its own limit; compare the processor time.")
    return Table(work.title, work.text, ["server", *columns], rows, notes)


def engine_table(results: Results) -> Table | None:
    """One table of all parts that were measured."""
    rows: list[list[str]] = []
    notes: list[str] = []
    for part in PARTS.values():
        if part.name not in results.measured:
            continue
        title = part.title
        for row in results.measured[part.name].rows:
            if row.figures:
                rows.append([title, row.server, number(row.figures["time"]), _ratio(row)])
                title = ""
            else:
                notes.append(f"Left out: {part.name}, {row.server} ({row.problem}).")
    if not rows and not notes:
        return None
    return Table("Parts of the engine", "", ["part", "in", "µs", "it / triows"], rows, notes)


def tables(results: Results) -> list[Table]:
    """All tables, in the order of the works."""
    found = [work_table(work, results.measured[name]) for name, work in WORKS.items() if name in results.measured]
    engine = engine_table(results)
    return [*found, engine] if engine is not None else found


def markdown(table: Table) -> str:
    """For the terminal, or a page in Markdown."""
    widths = [max(map(len, cells)) for cells in zip(table.columns, *table.rows, strict=True)]

    def line(cells: Iterable[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return "| " + " | ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]) + " |"

    rule = "|" + "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]) + "|"
    parts = [f"### {table.title}", table.text, "\n".join([line(table.columns), rule, *map(line, table.rows)])]
    return "\n\n".join([*filter(None, parts), *table.notes]) + "\n"


def rst(table: Table) -> str:
    """For the documentation."""
    lines = [f".. list-table:: {table.title}", "   :header-rows: 1", ""]
    for cells in [table.columns, *table.rows]:
        for number, cell in enumerate(cells):
            lines.append(f"   {'* -' if number == 0 else '  -'} {cell}".rstrip())
    parts = [table.text, "\n".join(lines), *table.notes]
    return "\n\n".join(filter(None, parts)) + "\n"


def machine_text(results: Results) -> str:
    """When, where and with what it was measured, in a few lines for the documentation."""
    dates = sorted({one.date for one in results.measured.values()})
    efforts = sorted({(one.rounds, one.seconds) for one in results.measured.values()})
    versions = ", ".join(f"{name} {version}" for name, version in results.machine["versions"].items())
    fields = {
        "Date": " to ".join(dict.fromkeys((dates[0], dates[-1]))),
        "Machine": "{processor}, {cores} cores, {system}".format(**results.machine),
        "Python": results.machine["python"],
        "Versions": versions,
        "Effort": ", ".join(f"{rounds} round{'s' * (rounds > 1)} of {seconds:g} s" for rounds, seconds in efforts),
    }
    return "".join(f":{name}: {value}\n" for name, value in fields.items())


# The chart, and all files


def chart(results: Results) -> str:
    """Messages a second, of the works that show them best."""
    groups = []
    for name in _CHARTED:
        if name in results.measured:
            rows = [row for row in results.measured[name].rows if "rate" in row.figures]
            rows.sort(key=lambda row: -row.figures["rate"])
            groups.append(Group(WORKS[name].title, [Bar(row.server, row.figures["rate"], _kind(row)) for row in rows]))
    return bar_chart("Messages a second, echoed by one server process", "Messages a second", groups)


def _kind(row: Row) -> str:
    if row.server == _YARDSTICK:
        return "yardstick"
    return "ours" if row.server.startswith("triows") else ""


def peers_text() -> str:
    """What the servers are, of those that the works name."""
    named = {name for work in WORKS.values() for name in work.servers}
    return "".join(f"- *{peer.name}*: {peer.text}\n" for peer in PEERS.values() if peer.name in named)


def write_files(results: Results, folder: Path) -> None:
    """results.json, and what the documentation includes: the .inc files and messages.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    results.write(folder / "results.json")
    engine = engine_table(results)
    servers = [rst(table) for table in tables(results) if table != engine]
    texts = {
        "machine.inc": machine_text(results),
        "peers.inc": peers_text(),
        "servers.inc": "\n".join(servers),
        "engine.inc": rst(engine) if engine is not None else "Not measured yet.\n",
        "messages.svg": chart(results),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
