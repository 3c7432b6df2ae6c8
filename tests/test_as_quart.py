"""``import quart`` as another name of triows.quart. Each test is a program of its own: a finder stays to its end."""

from __future__ import annotations

import subprocess
import sys


def run(program: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments, "-c", program], capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr.strip().rpartition("\n")[2]


INSTALL = "import triows; triows.install_as_quart(); import sys\n"


def test_both_names_mean_the_same_modules() -> None:
    program = f"""{INSTALL}
import quart, quart.testing.client, quart.json.provider, quart.wrappers
import triows.quart, triows.quart.views
from quart import views
from quart.views import MethodView
print(quart is triows.quart, quart.testing.client is triows.quart.testing.client, views is triows.quart.views)
print(MethodView is triows.MethodView, quart.__spec__.name, quart.json.__spec__.name)
"""
    assert run(program) == "True True True\nTrue triows.quart triows.quart.json\n"


def test_it_may_be_installed_again() -> None:
    program = f"{INSTALL}before = len(sys.meta_path); triows.install_as_quart(); print(len(sys.meta_path) - before)"
    assert run(program) == "0\n"


def test_a_module_that_is_not_there_is_named() -> None:
    said = run(f"{INSTALL}import quart.asgi")
    assert said.startswith("ModuleNotFoundError: No module named 'quart.asgi': triows has no triows.quart.asgi")


def test_other_modules_are_found_as_ever() -> None:
    assert run(f"{INSTALL}import quarter") == "ModuleNotFoundError: No module named 'quarter'"


def test_quart_itself_must_not_be_imported_before() -> None:
    program = (
        "import sys, types; sys.modules['quart'] = types.ModuleType('quart')\nimport triows; triows.install_as_quart()"
    )
    assert run(program).startswith("RuntimeError: Quart itself is imported already; call install_as_quart() before")


def test_the_real_quart_is_left_alone_without_it() -> None:
    assert run("import triows, sys; print('quart' in sys.modules, 'triows.quart' in sys.modules)") == "False False\n"


def test_an_app_loads_nothing_that_only_tests_need() -> None:
    program = (
        "import sys, triows.quart\nprint(sorted({'pytest', 'triows.testing', 'trio.testing'} & sys.modules.keys()))"
    )
    assert run(program) == "[]\n"


def test_the_types_of_test_clients_are_there_when_a_test_asks_for_them() -> None:
    assert (
        run("from triows.quart.typing import TestClientProtocol; print(TestClientProtocol.__name__)") == "TestClient\n"
    )


def test_an_app_runs_that_was_written_for_quart() -> None:
    program = f"""{INSTALL}
import trio
from quart import Quart, request, websocket
from quart.testing import QuartClient

app = Quart(__name__)

@app.post("/")
async def index():
    return {{"got": await request.get_json()}}

async def main():
    client = app.test_client()
    assert isinstance(client, QuartClient)
    print(await (await client.post("/", json=[1])).get_json())

trio.run(main)
"""
    assert run(program) == "{'got': [1]}\n"
