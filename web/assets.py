"""Static files under addresses that change with their content, so that a browser may keep them for ever."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, Response

from driftline.web.page import Trouble

FOLDER = Path(__file__).parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".txt": "text/plain"}


@cache
def static(name: str) -> str:
    """The address of the static file *name*, with the hash of its content."""
    digest = hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


@cache
def _names() -> frozenset[str]:
    # By name and not by resolved path: in an editable install the files are links to somewhere else.
    files = (path for path in FOLDER.rglob("*") if path.is_file() and path.suffix in _TYPES)
    return frozenset(path.relative_to(FOLDER).as_posix() for path in files)


def mount(app: FastAPI) -> None:
    """Serve the files of the static folder, and nothing outside it."""

    @app.get("/static/{name:path}", include_in_schema=False)
    def file(request: Request, name: str) -> Response:
        if name not in _names():
            raise Trouble(404, "No such file", f"There is no static file {name}.")
        path = FOLDER / name
        kept = "public, max-age=31536000, immutable" if request.query_params.get("v") else "no-cache"
        return FileResponse(path, media_type=_TYPES[path.suffix], headers={"Cache-Control": kept})
