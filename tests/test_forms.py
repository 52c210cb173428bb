"""From metadata to widgets: every setting can be drawn, and a wrong value is explained where it stands."""

from __future__ import annotations

import pytest

pytest.importorskip("streamlit", reason="the app's packages are not installed: pip install -e .[app]")

from streamlit.testing.v1 import AppTest

from app.forms import help_of, label_of, step_of
from bidora.drafts import FIELDS
from bidora.methods import METHODS


def page(names):
    import streamlit as st

    from app.forms import widget
    from bidora.drafts import FIELDS

    for name in names:
        default = FIELDS[name].default
        st.session_state.setdefault(name, list(default) if isinstance(default, tuple) else default)
        st.session_state[f"got-{name}"] = widget(FIELDS[name], name)


@pytest.fixture
def form():
    return AppTest.from_function(page, args=(list(FIELDS),), default_timeout=30).run()


def got(form, name):
    return form.session_state[f"got-{name}"]


def test_every_setting_has_a_widget_that_begins_with_its_default(form):
    assert not form.exception
    assert not form.error
    for name, setting in FIELDS.items():
        assert got(form, name) == setting.default, name
    assert len({label_of(setting) for setting in FIELDS.values()}) == len(FIELDS)


def test_each_kind_of_setting_has_the_widget_that_fits(form):
    assert {each.key for each in form.number_input} >= {"rank", "learning_rate", "seed"}
    assert {each.key for each in form.selectbox} >= {"method", "norm", "unroll_scale"}
    assert {each.key for each in form.toggle} == {"group_by_length", "gradient_checkpointing"}
    assert {each.key for each in form.multiselect} == {"target_modules"}
    assert form.selectbox(key="method").options == list(METHODS)


@pytest.mark.parametrize(
    ("name", "value"),
    [("rank", 0), ("learning_rate", 0.0), ("learning_rate", 2.0), ("upper_fraction", 1.0), ("steps", -5)],
)
def test_a_value_outside_its_range_is_explained_at_once(form, name, value):
    form.number_input(key=name).set_value(value).run()
    assert len(form.error) == 1
    said = form.error[0].value.replace("\\", "")
    assert f"{name}={value:g} is outside" in said
    assert "the default is" in said


@pytest.mark.parametrize(("text", "fine"), [("0.25", True), ("1e-3", True), ("soon", False)])
def test_free_values_are_taken_and_checked(text, fine):
    form = AppTest.from_function(page, args=(["unroll_scale"],), default_timeout=30)
    form.session_state["unroll_scale"] = text
    form.run()
    assert got(form, "unroll_scale") == text
    assert len(form.error) == (0 if fine else 1)
    assert fine or "is not 0, lr, adam or a number above 0" in form.error[0].value


def test_a_list_may_not_be_empty(form):
    form.multiselect(key="target_modules").set_value([]).run()
    assert "names with commas" in form.error[0].value


def test_help_names_meaning_range_default_and_flag():
    words = help_of(FIELDS["upper_fraction"])
    assert "magnitude is trained" in words
    assert "Allowed: 0 < upper_fraction < 1." in words
    assert "Default: 0.2." in words
    assert "`--upper-fraction`" in words
    assert label_of(FIELDS["rank"]) == "rank r"


def test_steps_of_buttons_fit_the_size_of_the_default():
    assert step_of(FIELDS["learning_rate"]) == pytest.approx(1e-4)
    assert step_of(FIELDS["alpha"]) == pytest.approx(0.1)
    assert step_of(FIELDS["dropout"]) == pytest.approx(0.1)
    assert step_of(FIELDS["regularizer"]) < 1e-5
