"""What debug mode answers an unhandled error with: its traceback, as a page or as plain text.

It shows lines of the program's source, and no values of variables, since these may hold secrets. Nothing on it can be
run. Only debug mode sends it: whoever sees it learns paths and source code of the server.
"""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from pathlib import Path
from traceback import FrameSummary, StackSummary, extract_tb, format_exception_only

from markupsafe import Markup, escape

from ..tasks.tracebacks import Fold, folded, format_exception, suggestion
from .response import Response

_LINES_AROUND = 4  # of source, on each side of the one that was run
_MAX_FRAMES = 40  # of one exception; of a deeper stack, the ends are shown
_MAX_EXCEPTIONS = 15  # of one group, as Python shows
_MAX_DEPTH = 10  # of groups and causes
_MAX_TEXT = 4000  # characters of a message or a note

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}

_STYLE = Markup("""\
:root { color-scheme: light dark; --ink: #1f2328; --dim: #656d76; --paper: #fff; --box: #f6f8fa; --line: #d1d9e0;
        --red: #cf222e; --run: #fff1c4; --mark: #ffcf70 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --dim: #9198a1; --paper: #0d1117; --box: #151b23; --line: #3d444d; --red: #ff7b72;
          --run: #3a2e0d; --mark: #7a5c00 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 62rem;
       margin: 2rem auto; padding: 0 1rem }
h1, h2 { font-size: 1.1rem; margin: 0; overflow-wrap: anywhere }
h1 { font-size: 1.6rem; color: var(--red) }
.message { font-size: 1.1rem; white-space: pre-wrap; overflow-wrap: anywhere; margin: .25rem 0 0 }
.note, .dim { color: var(--dim); white-space: pre-wrap; overflow-wrap: anywhere; margin: .25rem 0 0 }
section { border-left: 3px solid var(--line); padding-left: 1rem; margin: 1.25rem 0 }
section > h2 { color: var(--red) }
details { background: var(--box); border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; overflow: hidden }
summary { padding: .35rem .75rem; cursor: pointer; overflow-wrap: anywhere }
details.fold { background: none; border: 0; color: var(--dim) }
pre { font: 13px/1.5 ui-monospace, monospace; margin: 0; padding: .5rem .75rem; overflow-x: auto }
pre .number { color: var(--dim); display: inline-block; width: 3.5em; user-select: none }
pre .run { background: var(--run); display: inline-block; min-width: 100% }
pre mark { background: var(--mark); color: inherit }
""")

_PAGE = Markup("""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>{style}</style>
<h1>{title}</h1>
<p class="message">{message}</p>
<p class="dim">{subject}</p>
{body}
<details><summary>As text</summary><pre>{text}</pre></details>
<p class="dim">This page is shown in debug mode alone. It shows source code, and no values.</p>
</html>
""")

_SECTION = Markup('<section><h2>{label}{name}</h2><p class="message">{message}</p>{details}</section>\n')
_FRAME = Markup("<details{open}><summary>{place} in <b>{function}</b></summary><pre>{lines}</pre></details>\n")
_FOLD = Markup('<details class="fold"><summary>{title}</summary><pre>{lines}</pre></details>\n')
_DIM = Markup('<p class="dim">{}</p>\n')
_PRE = Markup("<pre>{}</pre>\n")
_LINE = Markup('<span class="number">{number}</span>{line}\n')
_RUN = Markup('<span class="run"><span class="number">{number}</span>{line}</span>\n')
_MARKED = Markup("{}<mark>{}</mark>{}")


def debug_response(error: BaseException, subject: str = "", *, html: bool = True) -> Response:
    """Return a response of 500 with the traceback of an error.

    :param subject: what was asked for, like ``GET /path``.
    :param html: False for plain text, for clients that are no browsers.
    """
    text = _encodable(format_exception(error))
    if not html:
        return Response(text, 500, _HEADERS, content_type="text/plain; charset=utf-8")
    page = _PAGE.format(
        title=type(error).__name__,
        style=_STYLE,
        message=_message(error),
        subject=subject,
        body=_details(error, {id(error)}, 0),
        text=text,
    )
    return Response(_encodable(page), 500, _HEADERS)


def _details(error: BaseException, shown: set[int], depth: int) -> Markup:
    """Return notes, frames, the exceptions of a group, and the causes.

    :param shown: the ids of the exceptions that are on the page already: causes may run in a circle.
    """
    pieces = [_notes(error), _frames(extract_tb(error.__traceback__))]
    inner: list[tuple[str, BaseException]] = []
    left = 0
    if isinstance(error, BaseExceptionGroup):
        count = len(error.exceptions)
        inner = [(f"{number} of {count}: ", each) for number, each in enumerate(error.exceptions, 1)]
        inner, left = inner[:_MAX_EXCEPTIONS], max(count - _MAX_EXCEPTIONS, 0)
    if error.__cause__ is not None:
        inner.append(("Caused by ", error.__cause__))
    elif error.__context__ is not None and not error.__suppress_context__:
        inner.append(("Raised while this was handled: ", error.__context__))
    for label, each in inner:
        if id(each) in shown or depth == _MAX_DEPTH:
            pieces.append(_SECTION.format(label=label, name=type(each).__name__, message=_message(each), details=""))
            continue
        shown.add(id(each))
        details = _details(each, shown, depth + 1)
        pieces.append(_SECTION.format(label=label, name=type(each).__name__, message=_message(each), details=details))
    if left:
        pieces.append(_DIM.format(f"{left} more"))
    return Markup("").join(pieces)


def _message(error: BaseException) -> str:
    try:
        return _cut(str(error)) + suggestion(error)
    except Exception as failure:
        return f"(its message cannot be told: {type(failure).__name__})"


def _notes(error: BaseException) -> Markup:
    """Return what Python shows of an exception beside its message: the line of a syntax error, and the notes."""
    pieces = [_DIM.format(_cut(str(note))) for note in getattr(error, "__notes__", None) or ()]
    if isinstance(error, SyntaxError) and error.text is not None:
        lines = "".join(line for line in format_exception_only(error) if line.startswith("  "))
        pieces.insert(0, _PRE.format(_cut(lines)))
    return Markup("").join(pieces)


def _encodable(text: str) -> str:
    """Return the text with its surrogates escaped, which names of files and variables may have."""
    return text.encode("utf-8", "backslashreplace").decode()


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}..."


def _frames(stack: StackSummary) -> Markup:
    pieces = folded(stack)
    last = max((index for index, piece in enumerate(pieces) if not isinstance(piece, Fold)), default=None)
    result = []
    for index, piece in enumerate(pieces):
        if _MAX_FRAMES // 2 <= index < len(pieces) - _MAX_FRAMES // 2:
            if index == _MAX_FRAMES // 2:
                result.append(_DIM.format(f"{len(pieces) - _MAX_FRAMES} more frames"))
        elif isinstance(piece, Fold):
            lines = "".join(f"{each.filename}:{each.lineno} in {each.name}\n    {each.line}\n" for each in piece.frames)
            result.append(_FOLD.format(title=str(piece), lines=lines))
        else:
            result.append(_frame(piece, is_open=index == last))
    return Markup("").join(result)


def _frame(frame: FrameSummary, *, is_open: bool) -> Markup:
    return _FRAME.format(
        open=" open" if is_open else "",
        place=f"{_short(frame.filename)}:{frame.lineno}",
        function=frame.name,
        lines=Markup("").join(_source(frame)),
    )


def _short(filename: str) -> str:
    """Return the path relative to the working directory, where it is inside of it."""
    try:
        return str(Path(filename).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return filename


def _source(frame: FrameSummary) -> Iterator[Markup]:
    """Yield the lines around the one that was run, which has its expression marked."""
    current = frame.lineno or 0
    first = max(current - _LINES_AROUND, 1)
    lines = linecache.getlines(frame.filename)[first - 1 : current + _LINES_AROUND]
    for number, line in enumerate(lines, first):
        text = line.rstrip("\r\n")
        if number == current:
            yield _RUN.format(number=number, line=_marked(text, frame))
        else:
            yield _LINE.format(number=number, line=text)


def _marked(line: str, frame: FrameSummary) -> Markup:
    """Return the line with the expression marked that was run, where Python knows it and it is not all of the line."""
    if frame.colno is None or frame.end_colno is None or frame.end_lineno != frame.lineno:
        return escape(line)
    encoded = line.encode()  # the columns count bytes
    before, inside, after = (
        part.decode(errors="replace")
        for part in (encoded[: frame.colno], encoded[frame.colno : frame.end_colno], encoded[frame.end_colno :])
    )
    return _MARKED.format(before, inside, after) if before.strip() or after.strip() else escape(line)
