"""What do accuracy, macro-F1 and Matthews' correlation say when one class is rarer? One classifier, many test sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bidora.figures.appearance import NEUTRAL, finish, floats

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

TITLE = "The same classifier on test sets with rarer and rarer positives: what do the scores say?"
_LOOKS = {"accuracy": ("#D55E00", "dash"), "macro_f1": ("#0072B2", "solid"), "mcc": ("#009E73", "dashdot")}


def scores_by_prevalence(table: pandas.DataFrame, *, share: float, template: str = "light") -> go.Figure:
    """Scores against the share of positives in the test set: strong lines a classifier, thin dotted ones the constant answer.

    Args:
        table: columns answer ("classifier" or "constant"), share (0 … 1), accuracy, macro_f1, mcc.
        share: marked; its values stand in the alternative text.
        template: "light", "dark" or a plotly template.
    """
    import plotly.graph_objects as go

    figure, words = go.Figure(), []
    for answer, part in table.groupby("answer", sort=False):
        constant = answer == "constant"
        near = part.iloc[(part["share"] - share).abs().argmin()]
        said = []
        for metric, (colour, dash) in _LOOKS.items():
            name = metric.replace("_", " ")
            figure.add_trace(
                go.Scatter(
                    x=floats(100 * part["share"]),
                    y=floats(part[metric]),
                    mode="lines",
                    line=dict(color=colour, dash="dot" if constant else dash, width=1.5 if constant else 2.5),
                    name=f"{name}, {'constant answer' if constant else 'classifier'}",
                    hovertemplate=f"{name}, {answer}: %{{y:.2f}} at %{{x:.0f}} %<extra></extra>",
                )
            )
            said.append(f"{name} {near[metric]:.2f}")
        words.append(f"{'the constant answer' if constant else 'the classifier'} has {', '.join(said)}")
    figure.add_vline(x=100 * share, line=dict(color=NEUTRAL, width=1.5, dash="dot"))
    figure.update_xaxes(title_text="positives in the test set (%)", range=[0, 100])
    figure.update_yaxes(title_text="score", range=[-0.05, 1.02])
    return finish(
        figure,
        title=TITLE,
        alt=f"With {100 * share:.0f} % positives {'; '.join(words)}.",
        convention="Expected scores, computed from sensitivity and specificity · constant: the more frequent class of the test set",
        template=template,
    )
