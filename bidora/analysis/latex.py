r"""Comparisons as LaTeX, for a paper: tables of the booktabs package, every name escaped, no method in bold.

Needs \usepackage{booktabs,graphicx}, which every installation has; compiles with pdflatex and the others. A table that is wider
than the page is shrunk to it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bidora.analysis.choosing import block_in_words
from bidora.metrics import LOWER_IS_BETTER, SHARES
from bidora.statistics import CORRECTIONS
from bidora.wording import counted, score_name

if TYPE_CHECKING:
    import pandas

_NAMES = r"""
\ \textbackslash{}
~ \textasciitilde{}
^ \textasciicircum{}
< $<$
> $>$
− $-$
– --
× $\times$
∞ $\infty$
‖ $\|$
² $^2$
₁ $_1$
₂ $_2$
′ $'$
· $\cdot$
α $\alpha$
β $\beta$
γ $\gamma$
δ $\delta$
λ $\lambda$
μ $\mu$
µ $\mu$
σ $\sigma$
η $\eta$
ξ $\xi$
ρ $\rho$
Δ $\Delta$
Σ $\Sigma$
√ $\surd$
⊙ $\odot$
→ $\to$
≈ $\approx$
≠ $\ne$
± $\pm$
÷ $\div$
° $^\circ$
₀ $_0$
ᵀ $^\top$
… \dots{}
— ---
≤ $\le$
≥ $\ge$
“ ``
” ''
’ '
"""
"""Letters that LaTeX does not print as they are, and what prints them."""

_LETTERS = {sign: f"\\{sign}" for sign in "&%$#_{}"}
_LETTERS |= {line[0]: line[2:] for line in _NAMES.strip().splitlines()}
_SPECIAL = re.compile("|".join([*map(re.escape, _LETTERS), r"[^\x20-\x7EÀ-ÖØ-öø-ÿĆćČčŁłŃńŒœŘřŠšŹźŻżŽž]|[ÐðÞþ]"]))
"""What has to be rewritten: the letters above, and whatever pdflatex lacks in its usual fonts."""


def escaped(text: object) -> str:
    r"""Text that LaTeX prints as it is: nothing in it is read as a command.

    >>> print(escaped("BiDoRA ξ=0, lr_1 & 50 %"))
    BiDoRA $\xi$=0, lr\_1 \& 50 \%
    >>> print(escaped("Größe 漢"))
    Größe \texttt{U+6F22}
    """
    return _SPECIAL.sub(_printed, " ".join(str(text).split()))


def _printed(found: re.Match[str]) -> str:
    """What prints one letter: by its number in Unicode where nothing else does."""
    return _LETTERS.get(found[0]) or rf"\texttt{{U+{ord(found[0]):04X}}}"


def scores_in_latex(table: pandas.DataFrame, *, metric: str = "", label: str = "tab:scores") -> str:
    """Methods as rows, tasks as columns, each score with its 95 % interval.

    Args:
        table: as `comparison` gives it.
        metric: by default each task's primary one.
        label: for references; letters, digits, colon and hyphen.
    """
    blocks = list(dict.fromkeys(zip(table["task"], table["variant"], table["examples_per_class"])))
    names = list(dict.fromkeys(table["label"]))
    rows = {
        (row["task"], row["variant"], row["examples_per_class"], row["label"]): row for row in table.to_dict("records")
    }
    used = [metric or next(row["primary"] for key, row in rows.items() if key[:3] == block) for block in blocks]
    heads = [f"{escaped(block_in_words(block))}, {_metric(name)}" for block, name in zip(blocks, used)]
    body = [
        [escaped(name), *(_score(rows.get((*block, name)), used[i]) for i, block in enumerate(blocks))]
        for name in names
    ]
    kinds = "; ".join(dict.fromkeys(table["interval"]))
    caption = f"Test scores with 95\\,\\% intervals ({escaped(kinds)})."
    return _table(["method", *heads], body, caption=caption, label=label)


def differences_in_latex(pairs: pandas.DataFrame, *, label: str = "tab:differences") -> str:
    """Paired differences with interval, in how many higher, p, corrected p, effect size.

    Args:
        pairs: as `paired_differences` or `pooled_differences` gives it.
        label: for references.
    """
    rows = pairs.to_dict("records")
    pooled = "tasks" in pairs.columns
    correction = str(rows[0]["correction"]) if rows else "none"
    heads = ([] if pooled else ["task"]) + ["difference", r"mean [95\,\%]", "higher in", "$p$"]
    heads += [f"$p$ ({escaped(CORRECTIONS[correction])})"] if correction != "none" else []
    heads += ["$d_z$", "$r$"]
    body = []
    for row in rows:
        scale = 100.0 if row.get("metric") in SHARES else 1.0
        ends = [scale * row[name] for name in ("mean", "low", "high")]
        digits = ".2f" if scale > 1 else ".3f"
        where = [] if pooled else [escaped(block_in_words((row["task"], row["variant"], row["examples_per_class"])))]
        cells = [*where, f"{escaped(row['first'])} $-$ {escaped(row['second'])}", _interval(ends, f"+{digits}")]
        cells += [f"{row['higher']} of {row['pairs']}", _p(row["p"])]
        cells += [_p(row["p_corrected"])] if correction != "none" else []
        body.append([*cells, _effect(row["effect_size"]), _effect(row["rank_biserial"])])
    tests = counted(int(rows[0]["tests"]) if rows else 0, "test")
    of = "the tasks' means, one pair per task" if pooled else "shared seeds, in points for shares"
    caption = (
        f"Differences of {escaped(of)}: mean with 95\\,\\% t-interval, Wilcoxon's signed-rank test, exact and two-sided "
        f"(corrected over {tests}), Cohen's $d_z$ and rank-biserial $r$."
    )
    return _table(heads, body, caption=caption, label=label)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str, label: str) -> str:
    lines = [" & ".join(cells) + r" \\" for cells in rows]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            f"\\caption{{{caption}}}",
            f"\\label{{{re.sub(r'[^A-Za-z0-9:-]', '-', label)}}}",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            f"\\begin{{tabular}}{{l{'l' * (len(heads) - 1)}}}",
            r"\toprule",
            " & ".join(heads) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
            "",
        ]
    )


def _metric(name: str) -> str:
    unit = r" (\%)" if name in SHARES else ""
    return f"{escaped(score_name(name))}{unit}" + (r" $\downarrow$" if name in LOWER_IS_BETTER else "")


def _score(row: dict[str, Any] | None, metric: str) -> str:
    if row is None:
        return "--"
    scale, digits = (100.0, ".1f") if metric in SHARES else (1.0, ".3f")
    return _interval([scale * row.get(name, math.nan) for name in (metric, f"{metric}_low", f"{metric}_high")], digits)


def _interval(ends: Sequence[float], digits: str) -> str:
    """Value, and the ends of its interval behind it."""
    value, low, high = ends
    if math.isnan(value):
        return "--"
    behind = "" if math.isnan(low + high) else rf" {{\scriptsize [${low:{digits}}$, ${high:{digits}}$]}}"
    return f"${value:{digits}}${behind}"


def _p(value: float) -> str:
    if math.isnan(value):
        return "--"
    if value >= 0.001:
        return f"${value:.3f}$"
    base, power = f"{value:.1e}".split("e")
    return rf"${base} \cdot 10^{{{int(power)}}}$"


def _effect(value: float) -> str:
    if math.isnan(value):
        return "--"
    return f"${value:+.2f}$" if math.isfinite(value) else (r"$+\infty$" if value > 0 else r"$-\infty$")
