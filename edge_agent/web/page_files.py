"""The files of the page, as they were when the agent started.

They are read once, so that one page is never made of two editions while a package manager replaces them on the disk.
All of them together have a version; the page asks for its parts under `/static/VERSION/…`, where a browser may keep
them for good. After an upgrade the old version is no longer there, and the page, which is told the new one with the
state, begins anew: no module of one edition ever meets a module of another.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

_STATIC: Final = Path(__file__).parent / "static"
_KINDS: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_INDEX: Final = "index.html"
_FOR_GOOD: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"


@dataclass(frozen=True, slots=True)
class _File:
    """One file, packed; `tag` tells it from every other state of it."""

    kind: str
    packed: bytes
    tag: str


class PageFiles:
    """What the page is made of. Packed it is a third of its size, in memory and on the wire."""

    def __init__(self, folder: Path = _STATIC) -> None:
        plain = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in _KINDS}
        whole = hashlib.sha256()
        for name, data in plain.items():
            whole.update(b"%b\0%d\0%b" % (name.encode(), len(data), data))
        self.version = whole.hexdigest()[:12]
        """Of all files together."""
        plain[_INDEX] = plain[_INDEX].replace(b"/static/", b"/static/%b/" % self.version.encode())
        self._files = {name: _pack(name, data) for name, data in plain.items()}

    def index(self, request: Request) -> Response:
        """The page itself, which is asked for again each time and names the version of all the rest."""
        return _answer(request, self._files[_INDEX], _ASK_AGAIN)

    def file(self, request: Request, name: str) -> Response | None:
        """A file, `page.css` or `VERSION/page.css`; None where there is none, or none of that version any more."""
        version, slash, rest = name.rpartition("/")
        found = self._files.get(rest)
        if found is None or (slash and version != self.version):
            return None
        return _answer(request, found, _FOR_GOOD if slash else _ASK_AGAIN)


def _pack(name: str, data: bytes) -> _File:
    packed = gzip.compress(data, 9, mtime=0)
    return _File(_KINDS[Path(name).suffix], packed, f'"{hashlib.sha256(packed).hexdigest()[:32]}"')


def _answer(request: Request, file: _File, keep: str) -> Response:
    """The file as the browser takes it, or only that it has this very one."""
    headers = {"cache-control": keep, "etag": file.tag, "vary": "accept-encoding"}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(gzip.decompress(file.packed), media_type=file.kind, headers=headers)
    return Response(file.packed, media_type=file.kind, headers=headers | {"content-encoding": "gzip"})
