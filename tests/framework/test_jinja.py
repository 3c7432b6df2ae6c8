"""The Jinja environment: what runs asyncio is refused, and what it does not change is as Jinja has it.

What is closed at the end of a rendering is tested in tests/web/test_templates.py, the rest with the app's folders.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jinja2
import pytest
from jinja2.sandbox import SandboxedEnvironment

from triows import Triows, render_template_string
from triows.framework.jinja import Environment


@pytest.mark.parametrize(
    ("call", "remedy"),
    [
        (lambda template: template.render(), r"render\(\) .* would run asyncio: write 'await template\.render_async"),
        (lambda template: template.generate(), r"generate\(\) .* write 'async for piece in template\.generate_async"),
        (lambda template: template.stream(), r"generate\(\) .* write 'async for piece in template\.generate_async"),
        (lambda template: template.stream().dump("/dev/null"), r"generate\(\)"),
    ],
)
def test_what_would_run_asyncio_raises_an_error(app: Triows, call: Callable[[Any], Any], remedy: str) -> None:
    with pytest.raises(RuntimeError, match=remedy):
        call(app.jinja_env.from_string("text"))


async def test_jinjas_own_async_methods_work(app: Triows) -> None:
    template = app.jinja_env.from_string("{% for x in values if x %}{{ x }}{% endfor %}")
    assert await template.render_async(values=[0, 1, 2]) == "12"
    assert "".join([piece async for piece in template.generate_async(values=[1])]) == "1"


def test_a_synchronous_overlay_renders_without_asyncio(app: Triows) -> None:
    template = app.jinja_env.overlay(enable_async=False).from_string(
        "{% for x in [0, 1, 2] if x %}{{ loop.index }}{{ [x]|map('string')|join }}{% endfor %}"
    )
    assert template.render() == "1122"
    assert "".join(template.generate()) == "1122"


async def test_a_sandbox_may_be_the_environment(app: Triows) -> None:
    class Sandbox(Environment, SandboxedEnvironment):
        pass

    app.jinja_environment = Sandbox
    async with app.app_context():
        source = "{% for x in values|map('string') if x %}{{ x }}{% endfor %}"
        assert await render_template_string(source, values=[1, 2]) == "12"
        with pytest.raises(jinja2.exceptions.SecurityError):
            await render_template_string("{{ (1).__class__.__mro__ }}")


async def test_a_loop_over_nothing_fails_or_not_as_jinja_has_it(app: Triows) -> None:
    async with app.app_context():
        assert await render_template_string("{% for x in nothing %}{% else %}else{% endfor %}") == "else"
        with pytest.raises(TypeError, match="'int' object is not iterable"):
            await render_template_string("{% for x in 1 %}{% endfor %}")


async def test_filter_blocks_are_compiled(app: Triows) -> None:
    async with app.app_context():
        assert await render_template_string("{% filter upper|list|join('-') %}ab{% endfilter %}") == "A-B"
