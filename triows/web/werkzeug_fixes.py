"""Hardened parsing of request headers on which Werkzeug is quadratic or raises."""

from __future__ import annotations

import re
from datetime import datetime

from werkzeug import http
from werkzeug.datastructures import IfRange, ImmutableMultiDict, MIMEAccept
from werkzeug.sansio.http import parse_cookie
from werkzeug.sansio.request import Request as SansIORequest
from werkzeug.utils import cached_property, header_property

# White space behind the "=" of a cookie: two repeats in Werkzeug's parser match it, and try every split between them.
_AFTER_EQUALS = re.compile(r'(\A|;)([ \t]*+[^ \t=";]++[ \t]*+=)[ \t]++')
_BLANKS = re.compile(r"[ \t]{2,}")


def _read_date(field: str | None) -> datetime | None:
    try:
        return http.parse_date(field)
    except OverflowError:  # of the year, the hour or the zone
        return None


class SafeRequest(SansIORequest):
    """A request with hardened fields. A malformed field counts as absent, as Werkzeug's other fields do."""

    date: header_property[datetime | None] = header_property[datetime | None]("Date", None, _read_date)

    @cached_property
    def cookies(self) -> ImmutableMultiDict[str, str]:
        """The cookies, of all ``Cookie`` fields."""
        text = _AFTER_EQUALS.sub(r"\1\2", ";".join(self.headers.getlist("Cookie")))
        return parse_cookie(text, cls=self.dict_storage_class)  # type: ignore[return-value]

    @cached_property
    def accept_mimetypes(self) -> MIMEAccept:
        """The media types that the client accepts."""
        # From each blank, Werkzeug searches the rest of its run for a ";": a long run takes quadratic time.
        return http.parse_accept_header(_BLANKS.sub(" ", self.headers.get("Accept", "")), MIMEAccept)

    @cached_property
    def if_modified_since(self) -> datetime | None:
        """The date in ``If-Modified-Since``, None if there is none."""
        return _read_date(self.headers.get("If-Modified-Since"))

    @cached_property
    def if_unmodified_since(self) -> datetime | None:
        """The date in ``If-Unmodified-Since``, None if there is none."""
        return _read_date(self.headers.get("If-Unmodified-Since"))

    @cached_property
    def if_range(self) -> IfRange:
        """The date or the entity tag in ``If-Range`` (RFC 9110, section 13.1.5)."""
        field = self.headers.get("If-Range")
        date = _read_date(field)
        if date is not None or not field:
            return IfRange(date=date)
        etag, _ = http.unquote_etag(field)
        return IfRange(etag and etag.replace('"', "%22"))  # no tag has a quote in it: encoded, it still matches none
