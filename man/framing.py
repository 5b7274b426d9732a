#!/usr/bin/env python3
"""Draws man/framing.svg: where the stamps go in each framing.

    man/framing.py >man/framing.svg
"""

import html

# What a client sends, and when each piece arrives.
PIECES = [("Sat Nov 21 01:15:00 2026", "one\ntwo\nthr"),
          ("Sat Nov 21 01:15:07 2026", "ee\n")]

GLYPH = 8.4         # the advance of a monospaced glyph at 14 px
LINE = 24
MARGIN = 16
HEAD = 58           # above the first line of a panel

STYLE = """
text { font: 14px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
       fill: #1f2328 }
.title { font: bold 15px system-ui, sans-serif }
.note { font: 13px system-ui, sans-serif; fill: #59636e }
.stamp { fill: #0550ae }
.when { fill: #59636e }
.end { fill: none; stroke: #8c959f }
.panel { fill: #f6f8fa; stroke: #d1d9e0 }
.piece0 { fill: #d4f0dc }
.piece1 { fill: #fde3c0 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .note, .when { fill: #9198a1 }
  .stamp { fill: #79c0ff }
  .panel { fill: #151b23; stroke: #3d444d }
  .piece0 { fill: #1f4a30 }
  .piece1 { fill: #5a3d14 }
}
"""


def chunk():
    """A stamp in front of each piece."""
    for number, (time, piece) in enumerate(PIECES):
        yield "stamp", f"[{time}] "
        yield f"piece{number}", piece


def line():
    """A stamp at the start of each line, of the time of its first byte."""
    at_start = True
    for number, (time, piece) in enumerate(PIECES):
        for part in piece.splitlines(keepends=True):
            if at_start:
                yield "stamp", f"[{time}] "
            yield f"piece{number}", part
            at_start = part.endswith("\n")


def sent():
    """The pieces themselves, each with the end of its lines shown."""
    for number, (_, piece) in enumerate(PIECES):
        yield f"piece{number}", piece.replace("\n", "\\n")
        yield "when", f"  at {PIECES[number][0].split()[3]}\n"


def put(kind, text, x, y):
    """Text at its place; that of a client on the ground of its piece, with a
    sign for the end of a line."""
    if kind.startswith("piece"):
        yield (f'<rect class="{kind}" x="{x - 2:.1f}" y="{y - 16}" rx="3"'
               f' width="{len(text) * GLYPH + 4:.1f}" height="21"/>')
        if text.endswith("\n"):
            end = x + (len(text) - 1) * GLYPH
            yield (f'<path class="end" d="M{end + 7.4:.1f} {y - 10}v5'
                   f'h-6m2.5 -2.5l-2.5 2.5l2.5 2.5"/>')
    # Spaces are a distance: not every program heeds white-space.
    x += (len(text) - len(text.lstrip())) * GLYPH
    colour = "" if kind.startswith("piece") else f' class="{kind}"'
    shown = text.strip()
    yield (f'<text{colour} x="{x:.1f}" y="{y}"'
           f' textLength="{len(shown) * GLYPH:.1f}">{html.escape(shown)}'
           f'</text>')


def panel(title, note, parts, x, y, size):
    yield (f'<rect class="panel" x="{x}" y="{y}" width="{size[0]}"'
           f' height="{size[1]}" rx="6"/>')
    yield (f'<text class="title" x="{x + MARGIN}" y="{y + 24}">{title}'
           f'</text>')
    yield (f'<text class="note" x="{x + MARGIN}" y="{y + 43}">{note}</text>')
    left, row = 0, 0
    for kind, text in parts:
        for part in text.splitlines(keepends=True):
            yield from put(kind, part, x + MARGIN + left * GLYPH,
                           y + HEAD + 14 + row * LINE)
            left += len(part)
            if part.endswith("\n"):
                left, row = 0, row + 1


def picture():
    widths = 250, 335, 335
    height = HEAD + 3 * LINE + 12
    panels = [("The client sends", "two pieces, seven seconds apart", sent()),
              ('framing = "chunk"', "a stamp in front of each piece", chunk()),
              ('framing = "line"', "a stamp at the start of each line",
               line())]
    left = 1
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" role="img"'
           f' viewBox="0 0 {sum(widths) + 22} {height + 2}">')
    yield ('<title>In chunk framing each piece of data gets a stamp, in line'
           ' framing each line does.</title>')
    yield f"<style>{STYLE}</style>"
    for (title, note, parts), width in zip(panels, widths):
        yield from panel(title, note, parts, left, 1, (width, height))
        left += width + 10
    yield "</svg>"


print("\n".join(picture()))
