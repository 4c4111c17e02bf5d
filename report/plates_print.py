"""Tag plates as a PDF: true to scale, after a page that says where each is worn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lab.atomic import write_atomically
from lab.errors import LabError
from lab.plates import WAND, Plate, PlateSet, Tag
from report.body_figure import figure_svg
from report.typesetting import typeset, typeset_pages

# Width and height in mm, upright.
PAPERS = {"a4": (210.0, 297.0), "a3": (297.0, 420.0), "letter": (215.9, 279.4)}
_TEMPLATES = ("plates.typ",)
_MARGIN = 10.0
_FOOT = 24.0
_LABEL = 6.0
_GAP = 6.0


@dataclass(frozen=True, slots=True)
class Piece:
    """What is cut out in one: the tags of a plate that lie in one plane.

    Attributes:
        title: The plate, and which part of it.
        words: Its tags and where it is worn.
        size_mm: Width and height, white margins included.
        tags: Number, left, top and side of each black square, mm from the piece's corner.
    """

    title: str
    words: str
    size_mm: tuple[float, float]
    tags: tuple[tuple[int, float, float, float], ...]


def cut_pieces(plates: PlateSet) -> tuple[Piece, ...]:
    """Return the pieces of all plates; tags that do not lie in the plate's plane stand alone."""
    pieces: list[Piece] = []
    for number, plate in enumerate(plates.plates, 1):
        flat = [t for t in plate.tags if _in_plane(t)]
        if len(flat) == len(plate.tags):
            pieces.append(_piece(plates, f"{number}  {plate.name}", plate, flat))
            continue
        for face, tag in enumerate(plate.tags, 1):
            title = f"{number}  {plate.name}, face {face} of {len(plate.tags)}"
            pieces.append(_piece(plates, title, plate, [tag]))
    return tuple(pieces)


def _in_plane(tag: Tag) -> bool:
    turn, at = tag.plate_from_tag[:, :3], tag.plate_from_tag[:, 3]
    return bool(np.allclose(turn, np.eye(3)) and abs(at[2]) < 1e-9)


def _piece(plates: PlateSet, title: str, plate: Plate, tags: list[Tag]) -> Piece:
    sides = 1e3 * np.array([tag.side for tag in tags])
    edges = sides * (1 + 2 * plates.margin_bits / plates.bits) / 2
    at = 1e3 * np.array([tag.plate_from_tag[:2, 3] for tag in tags])
    if len(tags) == 1:
        at = np.zeros((1, 2))
    low, high = (at - edges[:, None]).min(0), (at + edges[:, None]).max(0)
    numbers = ", ".join(str(tag.number) for tag in tags)
    return Piece(
        title,
        f"tag{'s' if len(tags) > 1 else ''} {numbers}. {plate.where}",
        (float(high[0] - low[0]), float(high[1] - low[1])),
        tuple(
            (tag.number, float(x - low[0] - s / 2), float(y - low[1] - s / 2), float(s))
            for tag, (x, y), s in zip(tags, at, sides, strict=True)
        ),
    )


def lay_out(
    pieces: tuple[Piece, ...], paper: str
) -> tuple[tuple[float, float], tuple[tuple[tuple[Piece, float, float], ...], ...]]:
    """Lay pieces on pages, in rows from the top.

    Returns:
        Width and height of the pages in mm, and for each page its pieces with left and top in mm.

    Raises:
        LabError: When there is no such paper, or a piece is larger than it.
    """
    if paper.lower() not in PAPERS:
        raise LabError(
            f"there is no paper called {paper!r}",
            where="plates",
            remedy=f"Choose one of {', '.join(PAPERS)}.",
        )
    upright = PAPERS[paper.lower()]
    fitting = [p for p in (upright, (upright[1], upright[0])) if all(_fits(q, p) for q in pieces)]
    if not fitting:
        widest = max(pieces, key=lambda p: max(p.size_mm))
        raise LabError(
            f"{widest.title} ({widest.size_mm[0]:.0f} x {widest.size_mm[1]:.0f} mm) does not fit "
            f"on {paper}",
            where="plates",
            remedy="Take a larger paper (--paper a3), or smaller tags in the plates file.",
        )
    options = [(page, _pages(pieces, page)) for page in fitting]
    return min(options, key=lambda option: len(option[1]))


def _fits(piece: Piece, page: tuple[float, float]) -> bool:
    room = (page[0] - 2 * _MARGIN, page[1] - 2 * _MARGIN - _FOOT - _LABEL)
    return piece.size_mm[0] <= room[0] and piece.size_mm[1] <= room[1]


def _pages(
    pieces: tuple[Piece, ...], page: tuple[float, float]
) -> tuple[tuple[tuple[Piece, float, float], ...], ...]:
    pages: list[list[tuple[Piece, float, float]]] = [[]]
    x, y, tall = _MARGIN, _MARGIN, 0.0
    for piece in pieces:
        width, height = piece.size_mm[0], piece.size_mm[1] + _LABEL
        if x + width > page[0] - _MARGIN:
            x, y, tall = _MARGIN, y + tall + _GAP, 0.0
        if y + height > page[1] - _MARGIN - _FOOT:
            pages.append([])
            x, y, tall = _MARGIN, _MARGIN, 0.0
        pages[-1].append((piece, x, y))
        x, tall = x + width + _GAP, max(tall, height)
    return tuple(tuple(each) for each in pages)


def write_plates_pdf(plates: PlateSet, path: Path | str, *, paper: str = "a4") -> int:
    """Write the plates as a PDF, true to scale.

    Args:
        plates: What to print.
        path: The PDF.
        paper: One of `PAPERS`.

    Returns:
        The number of pages.

    Raises:
        LabError: As of `lay_out`.
        FileError: When the file cannot be written.
    """
    page, pages = lay_out(cut_pieces(plates), paper)
    content, pictures = _laid(plates, page, pages, paper)
    now = datetime.now(UTC).replace(microsecond=0)
    write_atomically(path, typeset(_TEMPLATES, content, now, pictures))
    return 1 + len(pages)


def plates_pages(plates: PlateSet, ppi: float, *, paper: str = "a4") -> list[bytes]:
    """Return the same pages as PNG images at so many pixels an inch."""
    page, pages = lay_out(cut_pieces(plates), paper)
    return typeset_pages(_TEMPLATES, *_laid(plates, page, pages, paper), dpi=ppi)


def piece_svg(plates: PlateSet, piece: Piece) -> str:
    """Return a piece as SVG in mm: its tags in one path, a hair line where it is cut."""
    dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, plates.dictionary))
    steps: list[str] = []
    for number, left, top, side in piece.tags:
        bit = side / plates.bits
        drawn = cv2.aruco.generateImageMarker(dictionary, number, plates.bits, borderBits=1)
        for row, line in enumerate(np.asarray(drawn) == 0):
            edges = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(np.int8), [0]])))
            for a, b in edges.reshape(-1, 2):
                steps.append(
                    f"M{left + a * bit:.6f} {top + row * bit:.6f}H{left + b * bit:.6f}"
                    f"V{top + (row + 1) * bit:.6f}H{left + a * bit:.6f}Z"
                )
    width, height = piece.size_mm
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.6f}mm" height="{height:.6f}mm" '
        f'viewBox="0 0 {width:.6f} {height:.6f}">'
        f'<rect x="0.05" y="0.05" width="{width - 0.1:.6f}" height="{height - 0.1:.6f}" '
        'fill="none" stroke="#9AA3A9" stroke-width="0.1"/>'
        f'<path fill="#000" d="{"".join(steps)}"/></svg>'
    )


def _laid(
    plates: PlateSet,
    page: tuple[float, float],
    pages: tuple[tuple[tuple[Piece, float, float], ...], ...],
    paper: str,
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return what the template prints, and the drawings that it names."""
    side = 1e3 * max(tag.side for tag in plates.tags)
    wand = plates.of_segment(WAND)
    tip = 1e3 * plates.wand_tip
    content: dict[str, Any] = {
        "title": f"gaitlab plates {plates.name}",
        "figure": "A body from the front and from behind, with each plate where it is worn",
        "upright": PAPERS[paper.lower()],
        "page": page,
        "margin": _MARGIN,
        "foot": _FOOT,
        "check": "Print at 100 %, never “fit to page”, on matt paper. Glue each piece flat on a "
        f"stiff plate. A black square of {side:g} mm must measure {side:g} mm.",
        "wand": ""
        if not wand
        else f"The wand's tip is {tip[0]:g} mm to the right, {tip[1]:g} mm below and {tip[2]:g} mm "
        "behind the middle of its first face: measure it on the wand as built, and write it into "
        "the plates file.",
        "worn": [
            [
                str(i),
                p.name,
                f"tag{'s' if len(p.tags) > 1 else ''} " + ", ".join(str(t.number) for t in p.tags),
                p.where,
            ]
            for i, p in enumerate(plates.plates, 1)
        ],
        "pages": [
            [
                {
                    "file": f"piece{i}_{j}.svg",
                    "x": x,
                    "y": y,
                    "size": p.size_mm,
                    "title": p.title,
                    "words": p.words,
                }
                for j, (p, x, y) in enumerate(each)
            ]
            for i, each in enumerate(pages)
        ],
    }
    pictures = {"figure.svg": figure_svg(plates).encode()}
    for i, each in enumerate(pages):
        for j, (piece, _, _) in enumerate(each):
            pictures[f"piece{i}_{j}.svg"] = piece_svg(plates, piece).encode()
    return content, pictures
