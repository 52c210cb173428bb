"""Entries on the two levels, the hypergradient and the regulariser."""

from __future__ import annotations

from bidora.glossary.entry import Entry

_LEVELS = ("Two levels", "Runs, tab Two levels")

LEVELS = (
    Entry(
        key="lower_level",
        term="Lower level",
        topic="levels",
        meaning="Trains A, B and the task head while the magnitude is held fixed, on the lower split.",
        formula=r"V^*(m) = \arg\min_V\; L_{tr}(V, m) + \gamma R(V)",
        convention="The head is neither A, B nor m; it belongs to this level.",
        source=(("bidora", "official code"), ("darts", "section 2.2")),
        shown=_LEVELS,
        names=("l_tr",),
    ),
    Entry(
        key="upper_level",
        term="Upper level",
        topic="levels",
        meaning="Trains the magnitude alone, on the upper split, knowing that the lower level will answer.",
        formula=r"\min_m\; L_{val}\!\left( V^*(m), m \right)",
        convention="The papers' D_val is called the upper split here. It is neither a validation set nor the test set.",
        source=(("bidora", "official code"), ("darts", "section 2.2")),
        shown=_LEVELS,
        names=("l_val",),
    ),
    Entry(
        key="unrolled_step",
        term="Unrolled lower step V′",
        topic="levels",
        meaning="The upper level does not wait for the lower one to finish: it looks one lower step ahead.",
        formula=r"V' = V - \xi\, \nabla_V L_{tr}(V, m)",
        source=(("darts", "section 2.3, eqs 5–6"),),
        shown=_LEVELS,
        names=("v_prime",),
    ),
    Entry(
        key="hypergradient",
        term="Hypergradient h",
        topic="levels",
        meaning="The gradient of the upper loss by the magnitude, counting both the direct effect of m and the effect by "
        "way of the lower step.",
        formula=r"\begin{aligned} h =\;& \nabla_m L_{val}(V', m) && \text{direct} \\"
        r"& - \xi\, \nabla^2_{m,V} L_{tr}(V, m)\, v && \text{implicit} \\"
        r"& v = \nabla_{V'} L_{val}(V', m) \end{aligned}",
        unit="loss per weight unit",
        source=(("darts", "section 2.3, eq. 7"), ("bidora", "official code")),
        shown=_LEVELS,
        names=("h",),
    ),
    Entry(
        key="direct_norm",
        term="Direct part, norm",
        topic="levels",
        meaning="Size of the part of the hypergradient that looks at m alone and takes V′ as given. With ξ = 0 it is all "
        "there is.",
        formula=r"\lVert \nabla_m L_{val}(V', m) \rVert_2",
        unit="loss per weight unit",
        convention="In curves: all layers together, mean over the upper steps since the last line. In weight tables: "
        "one layer, the newest upper step.",
        source=(("darts", "eq. 7"),),
        shown=_LEVELS,
    ),
    Entry(
        key="implicit_norm",
        term="Implicit part, norm",
        topic="levels",
        meaning="Size of the part that says what a change of m does to the lower step. It is the term that one forgets "
        "when one writes the upper step by hand.",
        formula=r"\lVert \xi\, \nabla^2_{m,V} L_{tr}(V, m)\, v \rVert_2",
        unit="loss per weight unit",
        convention="As the direct part. Proportional to ξ as long as V′ is nearly V.",
        source=(("darts", "eqs 7–8"),),
        shown=_LEVELS,
    ),
    Entry(
        key="implicit_over_direct",
        term="Implicit over direct",
        topic="levels",
        meaning="How much the second level adds. Near zero, BiDoRA is first-order in all but name.",
        formula=r"\frac{\lVert \text{implicit} \rVert}{\lVert \text{direct} \rVert}",
        unit="–",
        convention="Median over upper steps and runs.",
        source=(("", "definition of this lab"),),
        shown=("Runs, tab Two levels", "Classroom, lesson 3"),
        names=("ratio",),
    ),
    Entry(
        key="cosine",
        term="Cosine between both parts",
        topic="levels",
        meaning="Whether direct and implicit part pull the same way: 1 the same, 0 at right angles, −1 opposite. "
        "Undefined where a part is zero, as with ξ = 0.",
        formula=r"\frac{\langle \text{direct}, \text{implicit} \rangle}"
        r"{\lVert \text{direct} \rVert\, \lVert \text{implicit} \rVert}",
        unit="–, −1 to 1",
        convention="In curves: all layers together, mean over the upper steps since the last line.",
        source=(("", "definition of this lab"),),
        shown=_LEVELS,
    ),
    Entry(
        key="finite_difference",
        term="Finite difference of the mixed product, ε",
        topic="levels",
        meaning="The product with the mixed second derivative without forming it: two gradients by m, at V shifted along "
        "±v. Both passes must use the same dropout masks, and V must come back bit for bit.",
        formula=r"\begin{aligned} \nabla^2_{m,V} L_{tr}\, v \approx\;"
        r"& \tfrac{1}{2\varepsilon} \nabla_m L_{tr}(V + \varepsilon v, m) \\"
        r"& - \tfrac{1}{2\varepsilon} \nabla_m L_{tr}(V - \varepsilon v, m),"
        r"\quad \varepsilon = \tfrac{0.01}{\lVert v \rVert} \end{aligned}",
        source=(("darts", "section 2.3, eq. 8"), ("betty", "implementation")),
        shown=("Two levels", "New run"),
        names=("epsilon",),
    ),
    Entry(
        key="orthogonality",
        term="Orthogonality term R",
        topic="levels",
        meaning="How far a layer's directions are from being at right angles to each other. The lower level adds γ·R to "
        "its loss; R depends on V only.",
        formula=r"R = \frac{1}{\text{layers}} \sum \lVert D^\top D - I \rVert_F,"
        r"\qquad D = \text{directions of } W_0 + sBA",
        unit="–",
        convention="Frobenius norm, not squared, as in the official code. The papers' columns are PEFT's rows.",
        source=(("bidora", "official code"),),
        shown=("New run",),
        names=("r_of_v",),
    ),
    Entry(
        key="phase",
        term="Phase: train, search, retrain",
        topic="levels",
        meaning="LoRA, DoRA and full fine-tuning have one phase, train. BiDoRA searches for the magnitude with both "
        "levels, then fixes it and trains A, B and head again from their initial values on all training data.",
        convention="phase_index is 0 for the first phase and 1 for the retraining.",
        source=(("bidora", "repository"),),
        shown=("Runs", "Compare", "Classroom, replay"),
        names=("phase_index",),
    ),
)
