"""The page that debug mode answers an unhandled error with."""

from __future__ import annotations

import re
from secrets import token_hex

import pytest

from triows.web.debug_page import debug_response


async def page_of(error: BaseException) -> str:
    response = debug_response(error, "GET /")
    assert (response.status_code, response.mimetype) == (500, "text/html")
    return await response.get_data(as_text=True)


def error_of(source: str, **names: object) -> BaseException:
    """The error that some code raises."""
    with pytest.raises(BaseException) as info:
        exec(compile(source, "app.py", "exec"), names)
    return info.value


def headings(page: str) -> list[str]:
    return re.findall(r"<h[12]>(.*?)</h[12]>", page)


async def test_it_shows_source_around_the_line_with_what_was_run_marked() -> None:
    with pytest.raises(KeyError) as info:
        len({"a": 1}["b"])
    page = await page_of(info.value)
    assert "len(<mark>{&#34;a&#34;: 1}[&#34;b&#34;]</mark>)" in page
    assert "test_it_shows_source_around_the_line" in page
    assert "pytest.raises(KeyError) as info" in page


async def test_it_shows_no_values_and_escapes_what_it_shows() -> None:
    secret = token_hex()
    with pytest.raises(ValueError, match="<b>") as info:
        raise ValueError(f"<b>{len(secret)}</b>")
    page = await page_of(info.value)
    assert "<b>64" not in page
    assert "&lt;b&gt;64&lt;/b&gt;" in page
    assert secret not in page


def test_nothing_on_it_can_be_run_and_nobody_keeps_it() -> None:
    response = debug_response(ValueError())
    assert response.headers["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    )
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_causes_and_groups_are_a_tree() -> None:
    group = ExceptionGroup("several", [ValueError("one"), ExceptionGroup("inner", [KeyError("two")])])
    group.__cause__ = OSError("three")
    group.exceptions[0].__context__ = LookupError("four")
    group.exceptions[0].add_note("a note <here>")
    page = await page_of(group)
    assert headings(page) == [
        "ExceptionGroup",
        "1 of 2: ValueError",
        "Raised while this was handled: LookupError",
        "2 of 2: ExceptionGroup",
        "1 of 1: KeyError",
        "Caused by OSError",
    ]
    assert page.count("<section>") == page.count("</section>") == 5
    assert "a note &lt;here&gt;" in page


async def test_a_suppressed_context_is_not_shown() -> None:
    error = error_of("try: {}['a']\nexcept KeyError: raise ValueError from None")
    assert headings(await page_of(error)) == ["ValueError"]


async def test_a_syntax_error_is_shown_with_its_line() -> None:
    page = await page_of(error_of("compile('a = = 1', 'module.py', 'exec')"))
    assert "File &#34;module.py&#34;, line 1\n    a = = 1\n        ^\n" in page


async def test_it_is_bounded() -> None:
    """A client may have chosen how deep the stack is, and how much an error has to say."""
    with pytest.raises(RecursionError) as info:
        exec("def deeper(): deeper()\ndeeper()", {})
    assert "more frames" in (page := await page_of(info.value))
    assert len(page) < 30_000
    assert len(await page_of(ValueError("x" * 1_000_000))) < 1_100_000  # the text is as the log has it
    wide = await page_of(ExceptionGroup("wide", [ValueError() for _ in range(100)]))
    assert len(headings(wide)) == 16
    assert "85 more" in wide
    deep: Exception = ValueError()
    for _ in range(100):
        deep = ExceptionGroup("deep", [deep])
    assert len(headings(await page_of(deep))) == 12


async def test_causes_in_a_circle_are_shown_once() -> None:
    one, other = ValueError("one"), KeyError("other")
    one.__cause__, other.__cause__ = other, one
    assert headings(await page_of(one)) == ["ValueError", "Caused by KeyError", "Caused by ValueError"]


async def test_names_that_are_no_unicode_are_escaped() -> None:
    assert "file \\udc80" in await page_of(ValueError("file \udc80"))
    assert "file \\udc80" in await debug_response(ValueError("file \udc80"), html=False).get_data(as_text=True)


async def test_a_name_that_is_nearly_right_is_told() -> None:
    assert "Did you mean: &#39;print&#39;?</p>" in await page_of(error_of("prnt()"))


async def test_an_exception_that_cannot_tell_its_message_is_shown() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "its message cannot be told: RuntimeError" in await page_of(Silent())


async def test_a_client_that_is_no_browser_gets_text() -> None:
    with pytest.raises(ValueError, match="lost") as info:
        raise ValueError("<lost>")
    response = debug_response(info.value, html=False)
    assert (response.status_code, response.content_type) == (500, "text/plain; charset=utf-8")
    text = await response.get_data(as_text=True)
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith("\nValueError: <lost>\n")
