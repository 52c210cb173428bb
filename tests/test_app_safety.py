"""What comes from outside is shown as it is: no picture is loaded, no link made, nothing asked of another machine."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("streamlit", reason="the app's packages are not installed: pip install -e .[app]")

from app.charts import plain
from app.page import worded
from bidora.models import cache_folder

APP = Path(__file__).resolve().parents[1] / "app"


@pytest.mark.parametrize("show", [plain, worded])
@pytest.mark.parametrize(
    ("text", "dangerous"),
    [
        ("![x](http://example.org/x.png)", "!["),
        ("[x](javascript:alert)", "]("),
        ("<script>", "<s"),
        ("https://example.org", "https:"),
        ("see www.example.org", "www."),
        ("a@example.org", "@e"),
        (":red[x]", ":r"),
        ("$x$", "$x"),
    ],
)
def test_text_from_outside_is_not_read_as_markup(show, text, dangerous):
    shown = show(text)
    place = shown.find(dangerous)
    assert place < 0 or shown[place - 1] == "\\" or (dangerous == "![" and "!\\[" in shown)
    assert shown.replace("\\", "").replace("\u2060", "") == text, "nothing that can be seen is lost"


def test_commands_in_our_sentences_stay_code_and_a_stray_tick_makes_none():
    assert worded("use `bidora list` for *all*") == "use `bidora list` for \\*all\\*"
    assert worded("a ` tick *x*") == plain("a ` tick *x*")
    assert worded("``*x*``") == plain("``*x*``")


@pytest.mark.parametrize("root", ["/home/me/runs", "runs"])
def test_errors_do_not_say_where_runs_are_kept(monkeypatch, root):
    from app.page import _placeless

    monkeypatch.setenv("BIDORA_RUNS", root)
    assert _placeless(f"{root}/x/config.json cannot be read: '{root}/x'") == "x/config.json cannot be read: 'x'"
    assert _placeless(f"{Path(root).absolute()}/x is no run") == "x is no run"
    for other in ("my-runs/x", "other/runs/x", "no runs / here", "/runs/x"):
        assert _placeless(other) == other


@pytest.mark.parametrize("cache", ["/home/me/.cache/bidora-lab", "cache", ""])
def test_errors_do_not_say_where_what_was_fetched_is_kept(monkeypatch, cache):
    from app.page import _placeless

    monkeypatch.setenv("BIDORA_RUNS", "runs")
    monkeypatch.setenv("BIDORA_CACHE", cache)
    place = cache_folder().absolute()
    assert _placeless(f"{place}/packages/a-1/model.safetensors is empty") == "packages/a-1/model.safetensors is empty"
    monkeypatch.setenv("BIDORA_RUNS", str(place / "runs"))
    assert _placeless(f"{place}/runs/x is no run") == "x is no run"


def test_the_tab_s_picture_is_a_file_of_ours():
    """A Material or emoji name as page_icon is fetched from fonts.gstatic.com by every visitor's browser."""
    source = (APP / "lab.py").read_text(encoding="utf-8")
    assert source.index("set_page_config(page_icon=ICON)") < source.index("st.navigation(") and "icon.svg" in source
    assert "page_icon=icon" in (APP / "page.py").read_text(encoding="utf-8")
    assert (APP / "icon.svg").is_file()


def test_a_disk_that_takes_nothing_is_a_sentence_not_a_crash(app, tmp_path, monkeypatch):
    from run_folders import write_run

    run = write_run(tmp_path / "runs", state="stopped")
    app.run()
    app.switch_page("views/runs.py")
    app.query_params["run"] = run.id
    app.run()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bidora.runs.run.write_json", full)
    app.button(key="resume").click().run()
    assert not app.exception
    assert any("No space left on device" in error.value for error in app.error)


def test_words_in_code_and_chosen_options_stand_out_from_the_page():
    """WCAG's 4.5 : 1 on the darkest ground of light pages and the lightest of dark ones that code has."""
    from app.contrast import CODE, LINK

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(one: str, other: str) -> float:
        low, high = sorted((luminance(one), luminance(other)))
        return (high + 0.05) / (low + 0.05)

    for light, dark in (*CODE.values(), LINK):
        assert contrast(light, "#F0F2F6") > 4.5, light
        assert contrast(dark, "#2B2B2B") > 4.5, dark
