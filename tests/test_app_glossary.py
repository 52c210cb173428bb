"""The glossary view: topics, search, an entry by its address, and addresses that name nothing."""

from __future__ import annotations

import pytest


def opened(app, **query):
    app.run()
    for name, value in query.items():
        app.query_params[name] = value
    return app.switch_page("views/glossary.py").run()


def headings(app) -> list[str]:
    return [each.value for each in app.header]


def test_it_opens_on_the_weights_with_conventions_and_references(app):
    opened(app)
    assert not app.exception
    assert app.title[0].value == "Glossary"
    assert {"Direction change ΔD", "Conventions", "References"} <= set(headings(app))
    assert any(r"\cos" in each.value for each in app.latex)
    assert any("2410.09758" in each.value for each in app.markdown)


def test_search_narrows_to_what_holds_the_words(app):
    opened(app)
    app.text_input(key="glossary-words").set_value("upper split").run()
    assert not app.exception
    assert "Upper split (D_val)" in headings(app)
    assert "Direction change ΔD" not in headings(app)
    app.text_input(key="glossary-words").set_value("zzz nothing").run()
    assert "Try fewer" in app.info[0].value


def test_topics_change_what_is_shown(app):
    opened(app)
    app.button_group(key="glossary-topic").set_value("cost").run()
    assert not app.exception
    assert "Gradient evaluations" in headings(app)
    assert "Direction change ΔD" not in headings(app)


@pytest.mark.parametrize(("name", "heading"), [("delta_d", "Direction change ΔD"), ("unroll_scale", "Unroll scale ξ")])
def test_an_address_opens_its_entry_first(app, name, heading):
    opened(app, term=name)
    assert not app.exception
    assert headings(app)[0] == heading
    assert headings(app).count(heading) == 1


@pytest.mark.parametrize("name", ["<script>", "../../etc/passwd", "x" * 5000, "", "[a](javascript:alert(1))"])
def test_an_address_that_names_nothing_says_so_and_repeats_nothing(app, name):
    opened(app, term=name)
    assert not app.exception
    assert "no entry" in app.warning[0].value
    assert len(app.warning[0].value) < 100
