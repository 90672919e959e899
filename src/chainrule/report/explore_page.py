"""The page of an exploration: a map of the rows, clusters, components, densities, and how it was made."""

from __future__ import annotations

import numpy as np

from chainrule.core.text import visible
from chainrule.core.units import show_figure
from chainrule.report.exploration import Exploration, show_signed
from chainrule.report.explore_plots import draw_groups, draw_inertias, draw_scores, draw_shares, draw_values
from chainrule.report.html import (
    Cell,
    Child,
    Column,
    Markup,
    Page,
    Picture,
    bullets,
    columns,
    element,
    facts,
    figure,
    join,
    paragraph,
    pictures,
    table,
    titled,
)
from chainrule.report.pictures import is_tiny, png_uri
from chainrule.report.svg import inline_svg

MARKED = 5  # unusual rows that a map numbers
# Columns and components of the table of loadings, which has half the width of the page
LOADINGS, LOADED = 12, 4
PICTURED = 12  # components of pictures
MOST_CLUSTERS = 30  # told one by one
MOST_CLASSES = 12  # in the table of clusters and classes


def page(found: Exploration) -> Page:
    """Return the page."""
    made = Page(
        title=f"{visible(found.name, 80)}, explored",
        kicker="Rows without a target",
        foot="Written by chainrule",
    )
    made.head = [
        paragraph(_sentence(found.grouping.why), role="lead"),
        facts(_tiles(found), role="tiles"),
    ]
    made.section("Map", *_map(found))
    made.section("Clusters", *_clusters(found))
    made.section("Components", *_components(found))
    made.section("Densities and unusual rows", *_densities(found))
    made.section("How this was made", *_how(found))
    return made


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _tiles(found: Exploration) -> dict[str, Child]:
    what = "pictures" if found.shape else "rows"
    used = "" if len(found.rows) == found.total else f" of {found.total:,}"
    held = 100 * float(found.components.shares[: found.components.count].sum())
    tiles: dict[str, Child] = {
        what: f"{len(found.rows):,}{used}",
        "clusters": f"{len(found.grouping.sizes)}",
        "components kept": f"{found.components.count} ({held:.0f} % of the variance)",
        "log-density of held-out rows": show_signed(found.density.mean, 2),
    }
    if found.target:
        name = "adjusted Rand index" if found.target.classes else "share of variance between clusters"
        tiles[f"{name}, with '{visible(found.target.name, 40)}'"] = show_figure(found.target.agreement, 3)
    return tiles


def _axes(found: Exploration) -> tuple[str, str]:
    word = "factor" if found.components.misfit is not None else "component"
    first, second = (
        f"{word} {place + 1} ({100 * found.components.shares[place]:.0f} % of the variance)"
        for place in (0, 1)
    )
    return first, second


def _map(found: Exploration) -> list[Child]:
    points, labels = found.coordinates[:, :2], found.labels
    names = [str(place + 1) for place in range(len(found.grouping.sizes))]
    by_cluster = draw_groups(points, labels, names, _axes(found), numbered=True)
    said = "Rows in the first two components, in the colours of their clusters."
    drawn = [figure("In the colours of clusters", inline_svg(by_cluster, "clusters", said))]
    if found.target is not None:
        drawn.append(_map_of_target(found))
    caption = "Rows that lie close are alike in what the two components hold; what else there is does not show here."
    return [columns(*drawn), paragraph(caption, role="muted")]


def _map_of_target(found: Exploration) -> Markup:
    assert found.target is not None
    points, cells, name = found.coordinates[:, :2], found.target.cells, visible(found.target.name, 40)
    if found.target.classes:
        codes = np.where(np.isnan(cells), -1, cells).astype(np.int64)
        drawn = draw_groups(points, codes, found.target.classes, _axes(found), numbered=False)
        title = f"In the colours of '{name}'"
    else:
        drawn = draw_values(points, cells, _axes(found))
        title = f"Stronger where '{name}' is higher"
    return figure(title, inline_svg(drawn, "target", f"The same rows by {name}."))


def _clusters(found: Exploration) -> list[Child]:
    sizes = found.grouping.sizes.tolist()
    total = sum(sizes)
    rows: list[list[Cell]] = [
        [str(place + 1), size, f"{100 * size / total:.0f} %", _list([one.text for one in found.apart[place]])]
        for place, size in enumerate(sizes[:MOST_CLUSTERS])
    ]
    heads: list[Column | str] = ["cluster", Column("rows"), Column("share"), "set apart by"]
    sheets: list[Child] = [_sheet(found, place) for place in range(len(found.sheets[:MOST_CLUSTERS]))]
    blocks = sheets or [table(heads, rows)]
    if len(sizes) > MOST_CLUSTERS:
        blocks.append(
            paragraph(f"{len(sizes) - MOST_CLUSTERS} smaller clusters are not shown.", role="muted")
        )
    drawn: list[Child] = []
    if len(found.grouping.scores) > 1:
        made = draw_scores(found.grouping.scores, len(sizes), found.grouping.criterion)
        text = f"The {found.grouping.criterion} over the number of clusters."
        drawn.append(
            figure(
                "How the number was chosen", inline_svg(made, "choice", text), _sentence(found.grouping.why)
            )
        )
    if len(found.grouping.inertias) > 1:
        made = draw_inertias(found.grouping.inertias, len(sizes))
        drawn.append(
            figure(
                "Variance left within clusters",
                inline_svg(made, "inertia", "Share of the variance within clusters over their number."),
                "It falls with every further cluster; an elbow, behind which it falls slowly, is a sign of real groups.",
            )
        )
    if found.target is not None and found.target.classes:
        drawn.append(titled(f"Clusters and '{visible(found.target.name, 40)}'", _crossed(found)))
    if drawn:
        blocks.append(columns(*drawn))
    return blocks


def _list(texts: list[str]) -> Child:
    if not texts:
        return "near the mean of all rows in every column"
    return join(*(element("div", text) for text in texts))


def _crossed(found: Exploration) -> Markup:
    """Return a table of clusters against classes."""
    assert found.target is not None
    classes, cells = found.target.classes[:MOST_CLASSES], found.target.cells
    rows: list[list[Cell]] = [
        [
            str(label + 1),
            *(int(((found.labels == label) & (cells == code)).sum()) for code in range(len(classes))),
        ]
        for label in range(min(MOST_CLUSTERS, len(found.grouping.sizes)))
    ]
    rest = len(found.target.classes) - len(classes)
    more = f" {rest} more classes are not shown." if rest else ""
    return join(
        table(["cluster", *(Column(visible(name, 24)) for name in classes)], rows),
        paragraph(_sentence(found.target.sentence) + more, role="muted"),
    )


def _sheet(found: Exploration, place: int) -> Markup:
    """Return the mean picture of a cluster and those nearest to it."""
    sheet = found.sheets[place]
    items = [
        Picture(
            source=png_uri(sheet.mean),
            description=f"mean of cluster {place + 1}",
            lines=[element("strong", "mean")],
            is_pixelated=is_tiny(sheet.mean),
        ),
        *(
            Picture(source=png_uri(picture), description=name, lines=[name], is_pixelated=is_tiny(picture))
            for name, picture in sheet.nearest
        ),
    ]
    size = int(found.grouping.sizes[place])
    share = f"{100 * size / len(found.labels):.0f} %"
    return titled(f"Cluster {place + 1}: {size:,} pictures ({share})", pictures(items))


def _components(found: Exploration) -> list[Child]:
    components = found.components
    made = inline_svg(
        draw_shares(components.shares, components.count), "scree", "Share of the variance per component."
    )
    blocks: list[Child] = [paragraph(_sentence(components.why))]
    if components.misfit is not None:
        blocks.append(
            paragraph(
                f"Correlations between columns follow from the factors to within {components.misfit:.2f}: what is left "
                "of a column is noise of its own."
            )
        )
    scree = figure("Variance kept", made, "Blue: kept. The line is their sum.")
    if found.shape:
        return [*blocks, scree, titled("What the first components are made of", _component_pictures(found))]
    return [*blocks, columns(scree, titled("What they are made of", _loadings(found)))]


def _loadings(found: Exploration) -> Markup:
    """Return the columns that the first components go with, as correlations."""
    shown = min(LOADED, found.components.count)
    weights = found.components.loadings[:shown]
    order = sorted(range(weights.shape[1]), key=lambda i: -float(abs(weights[:, i]).max()))[:LOADINGS]
    rows: list[list[Cell]] = [
        [visible(found.features[i], 60), *(show_signed(float(weights[c, i]), 2) for c in range(shown))]
        for i in order
    ]
    rest = weights.shape[1] - len(order)
    more = f" {rest:,} columns with smaller ones are not shown." if rest else ""
    return join(
        table(["column", *(Column(str(c + 1)) for c in range(shown))], rows),
        paragraph(
            f"Correlations of columns with {'the' if shown == found.components.count else 'the first'} components, from −1 to 1.{more}",
            role="muted",
        ),
    )


def _component_pictures(found: Exploration) -> Markup:
    items = []
    for place in range(min(PICTURED, found.components.count)):
        weights = found.components.loadings[place].reshape(found.shape)
        picture = weights if len(weights) in (1, 3) else weights[:1]
        share = f"{place + 1}: {100 * found.components.shares[place]:.1f} %"
        items.append(
            Picture(source=png_uri(picture), description=share, lines=[share], is_pixelated=is_tiny(picture))
        )
    return pictures(items)


def _densities(found: Exploration) -> list[Child]:
    density, lowest = found.density, found.density.lowest()
    marks = [(row, str(place + 1)) for place, row in enumerate(lowest[:MARKED])]
    drawn = draw_values(found.coordinates[:, :2], density.log_density, _axes(found), marks)
    chart = figure(
        "Stronger where rows lie denser",
        inline_svg(drawn, "density", "Rows by their log-density."),
        f"Circled: the {len(marks)} rows of the lowest log-density, numbered as in the table.",
    )
    intro = [paragraph(_sentence(text)) for text in found.density_sentences()]
    intro.append(
        paragraph(
            "Each row is judged by a model that was fitted without it. A row far from all others is not wrong by that: "
            "look at it.",
            role="muted",
        )
    )
    if found.unusual_pictures:
        items = [
            Picture(
                source=png_uri(picture), description=found.row_names[place],
                lines=[f"{place + 1}. {found.row_names[place]}", show_signed(density.log_density[lowest[place]], 1)],
                is_pixelated=is_tiny(picture),
            )
            for place, picture in enumerate(found.unusual_pictures)
        ]  # fmt: skip
        return [*intro, chart, titled("The lowest log-densities", pictures(items))]
    rows: list[list[Cell]] = [
        [
            str(place + 1),
            found.row_names[place],
            show_signed(density.log_density[row], 1),
            _list([one.text for one in found.far[place]]),
        ]
        for place, row in enumerate(lowest)
    ]
    return [*intro, chart, table(["", "row", Column("log-density"), "far in"], rows)]


def _how(found: Exploration) -> list[Child]:
    rows = [[m.name, m.tag, m.purpose, m.drawbacks] for m in found.methods]
    return [
        paragraph(_sentence(found.about)),
        *([bullets(list(found.notes))] if found.notes else []),
        table(["method", "tag", "what for", "against it"], rows),
        paragraph(
            "Columns are prepared as fit prepares them: numbers are scaled to mean 0 and deviation 1, missing ones are filled "
            f"with the mean and marked, categories become one column per value. Seed {found.seed}.",
            role="muted",
        ),
    ]
