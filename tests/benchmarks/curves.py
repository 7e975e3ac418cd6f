"""A curve as a small SVG picture."""

from collections.abc import Sequence
from itertools import groupby

WIDTH, HEIGHT, EDGE, NAME = 760, 300, 56, 40
STEPS = (1, 2, 5)


def ticks(most: float, count: int = 5) -> list[float]:
    """Round values from 0 to about the most, about so many."""
    size = 1.0
    while True:
        for step in STEPS:
            if most / (step * size) <= count:
                return [i * step * size for i in range(int(most / (step * size)) + 1)]
        size *= 10


def draw(points: Sequence[tuple[float, float]], phases: Sequence[tuple[float, str]], title: str) -> str:
    """The picture.

    Args:
        points: x and y, by x.
        phases: x and the name of the phase that it is in.
        title: what is seen.
    """
    right, top = max(x for x, _ in points), max(y for _, y in points) * 1.1

    def place(x: float, y: float) -> tuple[float, float]:
        return EDGE + x / right * (WIDTH - EDGE - 16), HEIGHT - EDGE - y / top * (HEIGHT - EDGE - 40)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" ',
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>',
        f'<text x="{EDGE}" y="20">{title}</text>',
    ]
    for y in ticks(top):
        x0, at = place(0, y)
        out.append(f'<path d="M{x0:.0f} {at:.1f}H{WIDTH - 16}" stroke="#ddd"/>')
        out.append(f'<text x="{x0 - 6:.0f}" y="{at + 4:.1f}" text-anchor="end">{y:g}</text>')
    for x in ticks(right, 8):
        at, y0 = place(x, 0)
        out.append(f'<text x="{at:.1f}" y="{y0 + 16:.1f}" text-anchor="middle">{x:g}</text>')
    begins = [
        (place(next(part)[0], 0)[0], name) for name, part in groupby(phases, key=lambda phase: phase[1])
    ]
    for i, (at, name) in enumerate(begins):
        out.append(f'<path d="M{at:.1f} 40V{HEIGHT - EDGE:.1f}" stroke="#bbb" stroke-dasharray="3 3"/>')
        if i + 1 == len(begins) or begins[i + 1][0] - at > NAME:  # the short ones go without a name
            edge = at + 3 if at + NAME < WIDTH else WIDTH - NAME
            out.append(f'<text x="{edge:.1f}" y="{HEIGHT - EDGE + 34:.1f}" fill="#666">{name}</text>')
    line = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in points)
    out.append(f'<polyline points="{line}" fill="none" stroke="#1f6feb" stroke-width="1.5"/></svg>')
    return "\n".join(out) + "\n"
