"""The page of a traceback."""

from __future__ import annotations

from triows.quart.debug import traceback_response


async def test_a_page_shows_a_traceback() -> None:
    try:
        raise ValueError("lost")
    except ValueError as error:
        response = await traceback_response(error)
    page = await response.get_data(as_text=True)
    assert (response.status_code, response.mimetype) == (500, "text/html")
    assert "<h1>ValueError</h1>" in page
    assert "test_a_page_shows_a_traceback" in page
