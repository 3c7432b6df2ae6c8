"""``triows routes``: a table of the rules of an app, for HTTP and for websockets."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from ..framework.application import App
from ..framework.click_groups import pass_script_info
from ..framework.routes.rules import Rule
from .groups import ScriptInfo, app_option, env_file_option, name_app, target_argument

_WEBSOCKET = "WS"
_AUTOMATIC = frozenset(("HEAD", "OPTIONS"))
_SORTS: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "rule": lambda row: row["rule"],
    "endpoint": lambda row: row["endpoint"],
    "methods": lambda row: row["methods"],
    "domain": lambda row: row["domain"],
    "match": lambda row: 0,  # the order of the map itself
}


def list_routes(app: App, *, all_methods: bool = False) -> list[dict[str, Any]]:
    """Return what there is to say of each rule, in the order in which they are matched.

    :param all_methods: whether HEAD and OPTIONS are among the methods.
    """
    return [_describe(app, rule, all_methods) for rule in app.url_map.iter_rules()]


def _describe(app: App, rule: Any, all_methods: bool) -> dict[str, Any]:
    own = dict(rule.own_limits) if isinstance(rule, Rule) else {}
    methods = set(rule.methods or ()) - (frozenset() if all_methods else _AUTOMATIC)
    return {
        "rule": rule.rule,
        "methods": [_WEBSOCKET] if rule.websocket else sorted(methods),
        "endpoint": rule.endpoint,
        "domain": (rule.host if app.url_map.host_matching else rule.subdomain) or "",
        "origins": list(app.rule_limits(rule).origins or ("same",)) if rule.websocket else [],
        "limits": {name: value for name, value in own.items() if name != "origins"},
    }


def _table(rows: Sequence[Mapping[str, Any]], domain: str) -> list[str]:
    """The lines of a table; a column in which nothing stands is left out."""
    names = {"rule": "Rule", "methods": "Methods", "endpoint": "Endpoint", "domain": domain}
    names |= {"origins": "Origins", "limits": "Limits"}
    columns = []
    for key, name in names.items():
        cells = [_cell(row[key]) for row in rows]
        if any(cells):
            width = max(map(len, (name, *cells)))
            columns.append([text.ljust(width) for text in (name, "-" * width, *cells)])
    return ["  ".join(line).rstrip() for line in zip(*columns, strict=True)]


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={limit}" for name, limit in value.items())
    return value if isinstance(value, str) else ", ".join(value)


@click.command("routes", params=[target_argument(), app_option(), env_file_option()])
@click.option(
    "-s",
    "--sort",
    type=click.Choice(list(_SORTS)),
    default="endpoint",
    show_default=True,
    help="What to sort by; 'match' is the order in which rules are tried.",
)
@click.option("--all-methods", is_flag=True, help="Show HEAD and OPTIONS too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_script_info
@click.pass_context
def routes_command(
    context: click.Context, /, info: ScriptInfo, target: str | None, sort: str, all_methods: bool, as_json: bool
) -> None:
    """Show the rules of an app.

    WS are websockets, with the origins that may open them. Limits are those that a route sets for itself.
    """
    name_app(context, info, target)
    app = info.load_app()
    rows = sorted(list_routes(app, all_methods=all_methods), key=_SORTS[sort])
    if as_json:
        click.echo(json.dumps(rows, indent=2, default=str))
    elif rows:
        click.echo("\n".join(_table(rows, "Host" if app.url_map.host_matching else "Subdomain")))
    else:
        click.echo("There are no routes.")
