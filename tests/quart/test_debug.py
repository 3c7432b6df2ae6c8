"""The page of a traceback."""

from __future__ import annotations

from triows.quart.debug import traceback_response


async def test_a_page_shows_a_traceback_and_no_variables() -> None:
    secret = "hunter2"
    try:
        raise ValueError(f"<b>{len(secret)}</b>")
    except ValueError as error:
        response = await traceback_response(error)
    page = await response.get_data(as_text=True)
    assert (response.status_code, response.mimetype) == (500, "text/html")
    assert "ValueError: &lt;b&gt;7&lt;/b&gt;" in page
    assert "test_a_page_shows_a_traceback" in page
    assert "hunter2" not in page


async def test_a_page_shows_an_error_that_was_never_raised() -> None:
    response = await traceback_response(KeyError("lost"))
    assert "KeyError: &#39;lost&#39;" in await response.get_data(as_text=True)
