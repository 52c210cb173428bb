"""Puts the finished comparison into the page that a browser gets first.

Streamlit sends an empty page, and a browser that was never here needs two to three seconds to fetch and read the code that
fills it. The comparison does not change meanwhile, so it is sent along.
"""

from __future__ import annotations

import streamlit
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.first_view.page import with_view
from app.first_view.stored import stored_view

_CONDITIONS = (b"accept-encoding", b"if-none-match", b"if-modified-since", b"range")
"""What a browser may ask of a file that it knows; of this page it gets the whole."""


def _address() -> str:
    """Where the first page is: "/", or "/lab/" with `--server.baseUrlPath lab`."""
    base = str(streamlit.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}/" if base else "/"


class ServeFirstView:
    """Middleware that adds the stored comparison to the first page, and touches nothing else."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        first = scope["type"] == "http" and scope["method"] == "GET" and scope["path"] == _address()
        view = stored_view() if first else None
        if view is None:
            await self.app(scope, receive, send)
            return
        whole = scope | {"headers": [each for each in scope["headers"] if each[0] not in _CONDITIONS]}
        began: Message = {}
        body = b""

        async def collect(message: Message) -> None:
            nonlocal began, body
            if message["type"] == "http.response.start":
                began = message
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                await send(_headers(began, page := with_view(body.decode(), view).encode()))
                await send({"type": "http.response.body", "body": page})

        await self.app(whole, receive, collect)


def _headers(began: Message, page: bytes) -> Message:
    headers = MutableHeaders(raw=list(began["headers"]))
    headers["content-length"] = str(len(page))
    for name in ("etag", "last-modified"):  # those of Streamlit's file
        del headers[name]
    return began | {"headers": headers.raw}
