"""Bars of a small chart: their sizes, stacked, and a whole chart as an SVG image."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """A rectangle; `kind` names what it stands for. `y` grows downwards."""

    kind: str
    x: float
    y: float
    width: float
    height: float


def bar_height(count: int, most: int, room: float, least: float) -> float:
    """The height of a count where `most` fills the room; never below `least`, so that it is seen; 0 for none."""
    return round(max(least, count / most * room), 2) if count else 0.0


def stack(x: float, ground: float, width: float, heights: Mapping[str, float]) -> Iterator[Bar]:
    """Bars upon each other from the ground up, in the order of their kinds; kinds without height are left out."""
    top = ground
    for kind, height in heights.items():
        if height:
            top -= height
            yield Bar(kind, x, top, width, height)


def image_uri(bars: Sequence[Bar], colours: Mapping[str, str], width: int, height: int) -> str:
    """The bars as an SVG image in a data URI, one path for each colour: for pages that show no inline SVG."""
    paths = "".join(
        f'<path fill="{colour}" d="{"".join(map(_outline, of_kind))}"/>'
        for kind, colour in colours.items()
        if (of_kind := [bar for bar in bars if bar.kind == kind])
    )
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{paths}</svg>'
    return f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"


def _outline(bar: Bar) -> str:
    return f"M{bar.x:g} {bar.y + bar.height:g}h{bar.width:g}v-{bar.height:g}h-{bar.width:g}z"
