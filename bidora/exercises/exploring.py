"""Figures and sliders in notebooks, with a still picture where there is no live front end."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go

STILL = "BIDORA_NOTEBOOK"
"""Environment variable; with the value "still" figures become pictures and sliders are left out (committed notebooks)."""

Figure = Any


def live() -> bool:
    """Whether a person sits in front of the notebook: a kernel runs, and no still pictures were asked for."""
    if os.environ.get(STILL) == "still":
        return False
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    shell = get_ipython()
    return shell is not None and hasattr(shell, "kernel")


def show(figure: go.Figure) -> None:
    """Show a figure of bidora.figures and, below it, its description in words."""
    from IPython.display import Markdown, display

    words = str((figure.layout.meta or {}).get("alt", ""))
    if live():
        figure.show()
    else:
        picture = _picture(figure, words)
        if picture is None:
            display({"application/vnd.plotly.v1+json": figure.to_plotly_json()}, raw=True)
        else:
            display({"image/svg+xml": picture, "text/plain": words}, raw=True)
    if words:
        display(Markdown(f"*In words:* {words}"))


def explore(draw: Callable[..., Figure], /, **controls: Any) -> None:
    """Draw a figure that depends on some values, with a slider or menu for each where there is a live front end.

    Args:
        draw: values → figure, a plain function.
        controls: for each value its start (a number or one of a list), its range as (start, low, high, step), or a list of
            choices whose first is the start.

    Raises:
        TypeError: a control's name is none of the function's arguments.
    """
    unknown = set(controls) - set(inspect.signature(draw).parameters)
    if unknown:
        raise TypeError(f"{', '.join(sorted(unknown))}: no argument of {draw.__name__}")
    starts = {name: _start(control) for name, control in controls.items()}
    if not live():
        show(draw(**starts))
        print("In a live notebook there are sliders here for: " + ", ".join(controls))
        return
    import ipywidgets
    from IPython.display import display

    widgets: Mapping[str, Any] = {name: _widget(name, control) for name, control in controls.items()}
    output = ipywidgets.interactive_output(lambda **values: show(draw(**values)), widgets)
    display(ipywidgets.VBox([*widgets.values(), output]))


def _start(control: Any) -> Any:
    return control[0] if isinstance(control, (tuple, list)) else control


def _widget(name: str, control: Any) -> Any:
    import ipywidgets

    words = name.replace("_", " ")
    style, layout = {"description_width": "11em"}, ipywidgets.Layout(width="32em")
    if isinstance(control, list):
        return ipywidgets.Dropdown(options=control, value=control[0], description=words, style=style, layout=layout)
    start, low, high, step = control
    kind = ipywidgets.IntSlider if all(isinstance(each, int) for each in control) else ipywidgets.FloatSlider
    return kind(
        value=start, min=low, max=high, step=step, description=words, style=style, layout=layout,
        continuous_update=False, readout_format="d" if kind is ipywidgets.IntSlider else ".3g",
    )  # fmt: skip


def _picture(figure: go.Figure, words: str) -> str | None:
    """The figure as SVG with a text alternative; None where no browser can draw it."""
    drawn = ""
    for _ in range(2):  # on a busy machine the browser may take too long to start once
        try:
            drawn = figure.to_image(format="svg", width=900).decode()
            break
        except Exception:  # kaleido or its browser is missing, or cannot start: the data themselves are shown then
            continue
    if not drawn:
        return None
    label = words.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return drawn.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
