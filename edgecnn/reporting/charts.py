"""Charts as SVG that needs no script: drawn by Vega-Lite when the page is written.

Colours are CSS variables, so one drawing serves the light page, the dark one and paper. Each chart
is drawn twice, wide and narrow, and the page shows what fits: a wide one scaled down to a phone
could not be read.

Why Vega-Lite through Altair, and no script in the page: a page without one works from a mail and on
paper, asks no network, and leaves the keyboard alone. Vega-Lite's own script is 0.9 MB in every
page; a drawing is 20 kB. Values show when one points at a mark, and stand in a table below it.
"""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

WIDE, NARROW = 720, 330

INK, SOFT, GRID, PAPER = "var(--ink)", "var(--soft)", "var(--grid)", "var(--paper)"
GOOD, BAD, UNSURE = "var(--good)", "var(--bad)", "var(--unsure)"
# Okabe and Ito's colours, which colour-blind people tell apart, made readable on each background.
SERIES = tuple(f"var(--series-{number})" for number in range(1, 8))
# A second sign beside the colour.
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right")
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 3], [4, 4], [1, 3])
# Amounts from none to many, and text on the lower four and on the others.
AMOUNTS = tuple(f"var(--amount-{number})" for number in range(1, 8))
ON_FEW, ON_MANY = "var(--on-few)", "var(--on-many)"

_SVG = "http://www.w3.org/2000/svg"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


def svg(chart: Any, name: str, width: int, alternative: str) -> str:
    """Draw a chart as an SVG element to be put into a page.

    Args:
        chart: The Altair chart.
        name: Begins every id in the drawing, so that no two drawings of a page share one.
        width: Pixels, axes and legend included, unless the chart has a width of its own.
        alternative: What it shows, for screen readers.
    """
    import altair
    import vl_convert

    spec = _drawable(_fitted(chart.to_dict(), width))
    version = altair.SCHEMA_VERSION.lstrip("v").rpartition(".")[0]
    drawn = vl_convert.vegalite_to_svg(spec, vl_version=version)
    return _for_the_page(drawn, name, alternative)


def _fitted(spec: dict[str, Any], width: int) -> dict[str, Any]:
    spec["config"] = _merged(_LOOK, spec.get("config", {}))
    if "width" not in spec and not {"hconcat", "vconcat", "concat", "facet"} & spec.keys():
        spec |= {"width": width, "autosize": {"type": "fit", "contains": "padding"}}
    return spec


def _drawable(value: Any) -> Any:
    # XML has no control characters, and the drawer ends the whole process over one in a class name.
    if isinstance(value, str):
        return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict):
        return {_drawable(key): _drawable(each) for key, each in value.items()}
    return [_drawable(each) for each in value] if isinstance(value, list) else value


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {key: _merged(under[key], over[key]) for key in _folders(under) & _folders(over)}
    return under | over | both


def _folders(values: dict[str, Any]) -> set[str]:
    return {key for key, value in values.items() if isinstance(value, dict)}


def _for_the_page(drawn: str, name: str, alternative: str) -> str:
    ElementTree.register_namespace("", _SVG)
    root = ElementTree.fromstring(drawn)
    for element in root.iter():
        _rename_ids(element, name)
        _hint(element)
    root.attrib |= {"role": "img", "aria-label": alternative, "focusable": "false"}
    return ElementTree.tostring(root, encoding="unicode")


def _rename_ids(element: ElementTree.Element, name: str) -> None:
    for key, value in element.attrib.items():
        if key == "id":
            element.attrib[key] = f"{name}-{value}"
        elif "url(#" in value:
            element.attrib[key] = _REFERENCE.sub(rf"url(#{name}-\1)", value)
        elif key.endswith("href") and value.startswith("#"):
            element.attrib[key] = f"#{name}-{value[1:]}"


def _hint(element: ElementTree.Element) -> None:
    # Vega labels its marks for screen readers; as a title the label is what a pointer shows.
    label = element.attrib.pop("aria-label", None)
    mark = element.attrib.get("role") == "graphics-symbol"
    for key in ("role", "aria-roledescription", "aria-hidden"):
        element.attrib.pop(key, None)
    if label and mark:
        title = ElementTree.Element(f"{{{_SVG}}}title")
        title.text = label
        element.insert(0, title)


_TEXT = {"labelColor": SOFT, "titleColor": INK, "labelFontSize": 12, "titleFontSize": 12}
_LOOK: dict[str, Any] = {
    # Vega-Lite measures text with Liberation Sans, which is as wide as Arial.
    "font": "Arial, Liberation Sans, Helvetica, sans-serif",
    "background": "transparent",
    "view": {"stroke": None},
    "range": {"category": list(SERIES), "symbol": list(SHAPES)},
    "axis": {
        **_TEXT,
        "titleFontWeight": "normal",
        "gridColor": GRID,
        "domainColor": SOFT,
        "tickColor": SOFT,
        "tickCount": 5,
    },
    "legend": {
        **_TEXT,
        "title": None,
        "orient": "top",
        "symbolStrokeWidth": 2,
        "labelLimit": 280,
        # Two legends stand below one another: side by side they may not fit.
        "layout": {"top": {"direction": "vertical", "anchor": "start", "bounds": "full"}},
        "columnPadding": 30,  # readers' fonts may be wider than the one that was measured
    },
    "title": {"color": INK, "fontSize": 13, "anchor": "start"},
    "header": {"labelColor": INK, "titleColor": INK},
    "text": {"color": INK, "fontSize": 12},
    "line": {"strokeWidth": 2},
    "point": {"filled": True, "size": 45},
    "rule": {"color": SOFT},
    "bar": {"color": SERIES[0]},
    "mark": {"color": SERIES[0]},
}
