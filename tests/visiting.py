"""A visit of the lab without a browser: one view, opened by its address."""

from __future__ import annotations

from typing import Any


def visit(app: Any, view: str, **query: str) -> Any:
    """Open a view with a query string; whatever happens, the page must not fail."""
    if "started" not in app.session_state:
        app.run()
        app.session_state["started"] = True
    app.switch_page(f"views/{view}.py")
    for name in list(app.query_params):
        del app.query_params[name]
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception[0].stack_trace
    return app
