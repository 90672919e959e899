"""The part of a script that draws the starting weights."""

from __future__ import annotations

from chainrule.catalog import parametrised
from chainrule.jobs.code_text import Part
from chainrule.nn.initial import STANDARD

# name -> what is said of it, the statement, and the number where none is given; the statements of chainrule.nn.initial.
DRAWN = {
    "xavier": ("evenly, with the variance 2/(inputs + outputs)", "nn.init.xavier_uniform_(layer.weight, generator=source)", None),
    "xavier-normal": ("normally, with the variance 2/(inputs + outputs)", "nn.init.xavier_normal_(layer.weight, generator=source)", None),
    "he": ("normally, with the variance 2/inputs", 'nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=source)', None),
    "he-uniform": ("evenly, with the variance 2/inputs", 'nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=source)', None),
    "lecun": ("normally, with the variance 1/inputs", 'nn.init.kaiming_normal_(layer.weight, nonlinearity="linear", generator=source)', None),
    "lecun-uniform": ("evenly, with the variance 1/inputs", 'nn.init.kaiming_uniform_(layer.weight, nonlinearity="linear", generator=source)', None),
    "orthogonal": ("as units at right angles", "nn.init.orthogonal_(layer.weight, {number}, generator=source)", 1.0),
    "normal": ("normally, with one deviation", "nn.init.normal_(layer.weight, std={number}, generator=source)", 0.01),
    "constant": ("as one number", "nn.init.constant_(layer.weight, {number})", 0.5),
    "zeros": ("as zeros", "nn.init.zeros_(layer.weight)", None),
}  # fmt: skip


def starting_lines(part: Part, initial: str | None, kinds: str) -> tuple[str, list[str]]:
    """Return what is said of the weights, and the lines that draw them for layers of the `kinds`."""
    head = [f"layers = [layer for layer in model if isinstance(layer, {kinds})]"]
    name = (initial or STANDARD).partition(":")[0].strip()
    if name == STANDARD:
        part.uses("math")
        return "each layer's weights drawn evenly between ±1/√(inputs of a unit)", [
            *head,
            "for place, layer in enumerate(layers):",
            "    bound = 1 / math.sqrt(layer.weight[0].numel())",
            '    source = generator("initial", place)',
            "    nn.init.uniform_(layer.weight, -bound, bound, generator=source)",
            "    nn.init.uniform_(layer.bias, -bound, bound, generator=source)",
        ]
    said, statement, usual = DRAWN[name]
    _, number = parametrised("initial", initial or STANDARD)
    draws = "source" in statement
    return f"each layer's weights drawn {said}" if draws else f"each layer's weights {said}", [
        *head,
        "for place, layer in enumerate(layers):" if draws else "for layer in layers:",
        *(['    source = generator("initial", place)'] if draws else []),
        f"    {statement.format(number=usual if number is None else number)}",
        "    nn.init.zeros_(layer.bias)",
    ]
