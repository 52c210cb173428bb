"""Entries on magnitude, direction and how far they move."""

from __future__ import annotations

from bidora.glossary.entry import Entry

_WEIGHTS = ("Runs, tab Weights", "Compare", "Analyse an adapter", "Classroom, replay")

WEIGHTS = (
    Entry(
        key="magnitude",
        term="Magnitude m",
        topic="weights",
        meaning="The lengths of a weight matrix: one number per unit. Together with the directions it gives back the "
        "weight exactly. DoRA and BiDoRA train it as a parameter of its own; it begins at the lengths of W₀.",
        formula=r"m_n = \lVert W_{n,:} \rVert_2 ,\qquad W = m \odot V",
        unit="weight units",
        convention="One magnitude per output unit: a row of W as PyTorch stores it, (out, in). This is PEFT's axis; the "
        "papers write the transposed matrix and call the same thing a column norm.",
        source=(("dora", "eq. 2"), ("peft", "DoraLinearLayer")),
        shown=("Decompose", *_WEIGHTS),
        names=("m", "m0"),
    ),
    Entry(
        key="direction",
        term="Direction V",
        topic="weights",
        meaning="A weight divided by its lengths: each unit's heading, a vector of length 1. In LoRA's update the "
        "direction is what A and B move; the bi-level notation uses V for all that the lower level trains.",
        formula=r"V_{n,:} = \frac{W_{n,:}}{\lVert W_{n,:} \rVert_2}",
        unit="–",
        convention="Undefined for a unit of zeros. In the equations of the two levels V stands for A, B and the head.",
        source=(("dora", "eq. 2"),),
        shown=("Decompose", "Two levels", *_WEIGHTS),
        names=("d", "v"),
    ),
    Entry(
        key="merged_weight",
        term="Merged weight W′",
        topic="weights",
        meaning="The one matrix that a layer with its adapter amounts to. All changes below are measured on it, for LoRA "
        "and full fine-tuning, too, which have no magnitude parameter. Merged, an adapter costs nothing at inference.",
        formula=r"\begin{aligned} W' &= m \odot \tfrac{W_0 + sBA}{\lVert W_0 + sBA \rVert} && \text{DoRA, BiDoRA} \\"
        r"W' &= W_0 + sBA && \text{LoRA} \end{aligned}",
        unit="weight units",
        convention="Norm per output unit.",
        source=(("dora", "eq. 5"), ("lora", "section 4.1")),
        shown=("Decompose", "Analyse an adapter"),
    ),
    Entry(
        key="low_rank_update",
        term="Low-rank update BA",
        topic="weights",
        meaning="What LoRA adds to a frozen weight: a product of a tall and a wide matrix. B begins at zero, so the "
        "model at step 0 is the pretrained one.",
        formula=r"\Delta W = sBA,\qquad B \in \mathbb{R}^{out \times r},\; A \in \mathbb{R}^{r \times in}",
        unit="weight units",
        source=(("lora", "section 4.1"),),
        shown=("Decompose",),
        names=("lora_A", "lora_B"),
    ),
    Entry(
        key="scale",
        term="Scale s = α/r",
        topic="weights",
        meaning="The factor before BA. With s = α/r a change of the rank leaves the size of the update about as it was.",
        formula=r"s = \frac{\alpha}{r}",
        unit="–",
        convention="α and r are the settings alpha and rank. Rank-stabilised LoRA (another adapter's own setting) has "
        "α/√r. The official BiDoRA scripts have no s.",
        source=(("lora", "section 4.1"),),
        shown=("Decompose", "New run", "Analyse an adapter"),
        names=("s",),
    ),
    Entry(
        key="delta_m",
        term="Magnitude change ΔM",
        topic="weights",
        meaning="How far a layer's magnitudes are from their pretrained values, without sign: a unit that grew and one "
        "that shrank do not cancel.",
        formula=r"\Delta M^t = \frac{1}{k}\sum_{n=1}^{k} \left| m^{n,t} - m_0^{n} \right|",
        unit="weight units",
        convention="On merged weights; mean over the k output units of one layer. In tables of runs: mean over the "
        "adapted layers at the end of the last phase.",
        source=(("dora", "eq. 3"),),
        shown=(*_WEIGHTS, "Runs"),
        names=("moved", "moved_least", "moved_most"),
    ),
    Entry(
        key="delta_d",
        term="Direction change ΔD",
        topic="weights",
        meaning="How far a layer's directions turned: 0 is no turn, 1 a right angle, 2 the opposite heading. For small "
        "angles it grows with the square of the angle, so half the angle is a quarter of ΔD.",
        formula=r"\Delta D^t = \frac{1}{k}\sum_{n=1}^{k} \left( 1 - \cos\!\left( V^{n,t}, W_0^{n} \right) \right)",
        unit="–  (1 − cos)",
        convention="On merged weights; mean over the k output units of one layer. In tables of runs: mean over the "
        "adapted layers at the end of the last phase.",
        source=(("dora", "eq. 4"),),
        shown=(*_WEIGHTS, "Runs"),
    ),
    Entry(
        key="delta_m_signed_percent",
        term="Signed magnitude change",
        topic="weights",
        meaning="Whether a layer's units grew or shrank, each in per cent of its pretrained length. Zero can mean that "
        "nothing moved or that growth and shrinking cancel; ΔM tells which.",
        formula=r"\frac{100}{k}\sum_{n=1}^{k} \frac{m^{n,t} - m_0^{n}}{m_0^{n}}",
        unit="% of m₀",
        convention="On merged weights; mean over the output units of one layer.",
        source=(("", "definition of this lab, beside DoRA's eq. 3"),),
        shown=_WEIGHTS,
    ),
    Entry(
        key="angle_degrees",
        term="Angle to the pretrained direction",
        topic="weights",
        meaning="The turn of a layer's units as an angle, which is easier to picture than 1 − cos.",
        formula=r"\begin{aligned} &\tfrac{1}{k}\textstyle\sum_{n=1}^{k} 2\,\operatorname{atan2}"
        r"( \lVert u-v \rVert, \lVert u+v \rVert ) \\ &u = V^{n,t},\; v = V_0^{n} \end{aligned}",
        unit="degrees, 0 to 180",
        convention="On merged weights; mean over the output units of one layer. Equal to arccos(u·v), but exact for "
        "tiny angles (Kahan).",
        source=(("", "definition of this lab, beside DoRA's eq. 4"),),
        shown=("Decompose", *_WEIGHTS),
        names=("angle",),
    ),
    Entry(
        key="magnitude_gradient_norm",
        term="Gradient of the magnitude, “is m alive”",
        topic="weights",
        meaning="The size of the gradient that moves m in one layer: for DoRA that of the ordinary loss, for BiDoRA the "
        "hypergradient. Zero throughout means that the magnitude is not trained at all.",
        formula=r"\lVert \nabla_m L \rVert_2 \quad\text{or}\quad \lVert h \rVert_2",
        unit="loss per weight unit",
        convention="For BiDoRA: direct plus implicit part, of the search phase.",
        source=(("dora", "eq. 7"),),
        shown=("Runs, tab Two levels",),
    ),
    Entry(
        key="singular_values",
        term="Spectrum of ΔW",
        topic="weights",
        meaning="The singular values of the change of a layer's weight. LoRA has at most r that are not zero; DoRA and "
        "BiDoRA can have more, since the rescaling acts on the whole weight.",
        formula=r"\Delta W = W' - W_0 = \sum_i \sigma_i\, u_i v_i^\top",
        unit="weight units",
        source=(("lora", "section 7"),),
        shown=("Runs, tab Weights",),
        names=("spectrum", "singular_value", "index"),
    ),
    Entry(
        key="cumulative",
        term="Share held by the first directions",
        topic="weights",
        meaning="How much of a layer's change the i largest singular values make up together. Near 100 % at i = r: the "
        "change is almost of rank r; less: rescaling by the magnitudes has spread it.",
        formula=r"\sum_{j \le i} \sigma_j^2 \Big/ \lVert \Delta W \rVert_F^2",
        unit="%",
        convention="Of the squared Frobenius norm, at the end of training. A sentence below the spectrum gives the median "
        "layer at i = r, and at i = 8 for full fine-tuning.",
        source=(("", "definition of this lab"),),
        shown=("Runs, tab Weights",),
        names=("cumulative_share",),
    ),
    Entry(
        key="moved",
        term="Mean |m − m₀|",
        topic="weights",
        meaning="How far the magnitudes have moved by now, whatever the direction: ΔM, averaged over all adapted layers. "
        "Above rounding, and reached by a gradient: m is alive.",
        formula=r"\frac{1}{L}\sum_{l=1}^{L} \Delta M_l",
        unit="weight units",
        convention="On merged weights, one magnitude per output unit. The band goes from the layer that moved least to the "
        "one that moved most.",
        source=(("", "definition of this lab, from DoRA's eq. 3"),),
        shown=("Runs, tabs Live and Two levels",),
        names=("moved_least", "moved_most"),
    ),
    Entry(
        key="layer",
        term="Layer and module",
        topic="weights",
        meaning="Which weight a point belongs to: the number of the transformer layer, counted from 0 (−1 where the name "
        "has none), and the linear map inside it, such as query or value.",
        source=(("peft", "target_modules"),),
        shown=_WEIGHTS,
        names=("module",),
    ),
)
