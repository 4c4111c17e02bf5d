"""The board as a PDF: vector, true to scale, on one sheet or on tiles with cut marks."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import typst

from calibration.board import Board
from lab.atomic import write_atomically
from lab.errors import LabError

# Width and height in mm, upright.
PAPERS = {
    "a4": (210.0, 297.0),
    "a3": (297.0, 420.0),
    "a2": (420.0, 594.0),
    "a1": (594.0, 841.0),
    "a0": (841.0, 1189.0),
    "letter": (215.9, 279.4),
}
_ISO = ("a4", "a3", "a2", "a1", "a0")
# Margin (what a printer cannot reach) and height of the foot (identity, code and ruler), mm; the
# narrow pair where the board needs the room.
_WIDE = (10.0, 32.0)
_NARROW = (7.0, 20.0)
_Kind = Literal["pdf", "png"]


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page: its size and the part of the board on it, all in mm.

    Attributes:
        page: Width and height of the page.
        part: Left, top, right and bottom of the part of the board.
        place: In words, where it belongs.
        back: Whether it is of the back of a two-sided board.
        margin: Of the page.
        foot: Height of the strip with identity, code and ruler.
    """

    page: tuple[float, float]
    part: tuple[float, float, float, float]
    place: str
    back: bool
    margin: float
    foot: float


def lay_out(board: Board, paper: str | None = None) -> tuple[Sheet, ...]:
    """Lay the board on sheets of paper.

    Args:
        board: What to print.
        paper: One of `PAPERS`; without it the smallest ISO sheet that holds the board. A board
            that does not fit is cut into tiles, through the middles of squares where it can be, so
            that no corner lies on a seam.

    Raises:
        LabError: When there is no such paper, or no sheet is large enough and none was named.
    """
    if paper is not None and paper.lower() not in PAPERS:
        raise LabError(
            f"there is no paper called {paper!r}",
            where="board",
            remedy=f"Choose one of {', '.join(PAPERS)}.",
        )
    width, height = (
        1e3 * board.print_square_m * board.columns,
        1e3 * board.print_square_m * board.rows,
    )
    for name in _ISO if paper is None else (paper.lower(),):
        for turned in (False, True) if height >= width else (True, False):
            for edge in (_WIDE, _NARROW):
                room, page = _room(name, turned, edge)
                if width <= room[0] and height <= room[1]:
                    whole = Sheet(page, (0, 0, width, height), "", False, *edge)
                    return _both_sides(board, (whole,))
    if paper is None:
        raise LabError(
            f"the board ({width:.0f} x {height:.0f} mm) does not fit an A0 sheet",
            where="board",
            remedy="Name a paper (--paper a4): it is then printed in tiles.",
        )
    square = 1e3 * board.print_square_m
    tiled = []
    for turned in (False, True):
        room, page = _room(paper.lower(), turned, _WIDE)
        across, down = _cuts(width, room[0], square), _cuts(height, room[1], square)
        tiled.append(((len(across) - 1) * (len(down) - 1), across, down, page))
    _, across, down, page = min(tiled, key=lambda t: t[0])
    sheets = [
        Sheet(
            page,
            (left, top, right, bottom),
            f"tile {i + 1} from the top, {j + 1} from the left, "
            f"of {len(down) - 1} x {len(across) - 1}",
            False,
            *_WIDE,
        )
        for i, (top, bottom) in enumerate(pairwise(down))
        for j, (left, right) in enumerate(pairwise(across))
    ]
    return _both_sides(board, tuple(sheets))


def write_board_pdf(
    board: Board, path: Path | str, *, paper: str | None = None, fonts: Path | None = None
) -> tuple[Sheet, ...]:
    """Write the board as a PDF, true to scale; the same board gives the same bytes.

    Args:
        board: What to print.
        path: The PDF.
        paper: As in `lay_out`.
        fonts: A folder with Source Sans; without it the PDF engine's own font.

    Returns:
        The sheets.

    Raises:
        LabError: As `lay_out`.
        FileError: When the file cannot be written.
    """
    sheets = lay_out(board, paper)
    write_atomically(path, _compile(board, sheets, fonts, "pdf", 144.0)[0])
    return sheets


def board_pages(
    board: Board, ppi: float, *, paper: str | None = None, fonts: Path | None = None
) -> tuple[bytes, ...]:
    """Return the same pages as PNG images at so many pixels an inch, for a screen."""
    return _compile(board, lay_out(board, paper), fonts, "png", ppi)


def board_svg(board: Board, *, back: bool = False) -> str:
    """Return the print as SVG in mm, every rectangle in one path, so that none shows a seam."""
    square = 1e3 * board.print_square_m
    width, height = square * board.columns, square * board.rows
    rectangles = _dark_rectangles(board) * 1e3 * board.print_square_m / board.square_m
    if board.mirrored != back:
        rectangles[:, [0, 2]] = width - rectangles[:, [2, 0]]
    whole = f"M0 0H{width:.6f}V{height:.6f}H0Z" if board.inverted else ""
    steps = "".join(
        f"M{left:.6f} {top:.6f}H{right:.6f}V{bottom:.6f}H{left:.6f}Z"
        for left, top, right, bottom in rectangles
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.6f}mm" height="{height:.6f}mm" '
        f'viewBox="0 0 {width:.6f} {height:.6f}">'
        f'<path fill-rule="evenodd" fill="#000" d="{whole}{steps}"/></svg>'
    )


def identity(board: Board) -> str:
    """Return what the code on the print says: the board's TOML, ready to be saved."""
    lines = [
        "[board]",
        f"columns = {board.columns}",
        f"rows = {board.rows}",
        f"square_mm = {round(1e3 * board.print_square_m, 4)!r}",
        f"marker_ratio = {round(board.marker_m / board.square_m, 4)!r}",
        f'dictionary = "{board.dictionary}"',
    ]
    flags = ("legacy", "inverted", "mirrored", "two_sided")
    lines += [f"{key} = true" for key in flags if getattr(board, key)]
    if board.thickness_m:
        lines.append(f"thickness_mm = {round(1e3 * board.thickness_m, 4)!r}")
    return "\n".join(lines)


def _dark_rectangles(board: Board) -> np.ndarray:
    """Return the dark rectangles (n, 4) m, left top right bottom; none overlaps another."""
    pattern = board.pattern()
    dictionary = pattern.getDictionary()
    cells = dictionary.markerSize + 2
    cell = board.marker_m / cells
    rectangles: list[tuple[float, float, float, float]] = []
    marked = set()
    margin = (board.square_m - board.marker_m) / 2
    for corners, number in zip(pattern.getObjPoints(), np.ravel(pattern.getIds()), strict=True):
        # OpenCV keeps these in single precision: the square is taken, the rest worked out anew.
        column, row = (int(v) for v in np.floor(np.asarray(corners)[0, :2] / board.square_m))
        marked.add((column, row))
        left, top = column * board.square_m + margin, row * board.square_m + margin
        bits = cv2.aruco.generateImageMarker(dictionary, int(number), cells, borderBits=1)
        for i, line in enumerate(np.asarray(bits) == 0):
            edges = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(np.int8), [0]])))
            rectangles += [
                (left + a * cell, top + i * cell, left + b * cell, top + (i + 1) * cell)
                for a, b in edges.reshape(-1, 2)
            ]
    for row in range(board.rows):
        for column in range(board.columns):
            if (column, row) not in marked:
                x, y = column * board.square_m, row * board.square_m
                rectangles.append((x, y, x + board.square_m, y + board.square_m))
    return np.array(rectangles)


def _room(
    paper: str, turned: bool, edge: tuple[float, float]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the room for the board on a page, and the page."""
    width, height = PAPERS[paper][::-1] if turned else PAPERS[paper]
    room = (width - 2 * edge[0], height - 2 * edge[0] - edge[1])
    return room, (width, height)


def _cuts(length: float, room: float, square: float) -> list[float]:
    """Return where a length is cut so that no piece is longer than the room."""
    cuts = [0.0]
    while length - cuts[-1] > room:
        middle = (np.floor((cuts[-1] + room) / square - 0.5) + 0.5) * square
        cuts.append(float(middle) if middle > cuts[-1] else cuts[-1] + room)
    return [*cuts, length]


def _both_sides(board: Board, sheets: tuple[Sheet, ...]) -> tuple[Sheet, ...]:
    if not board.two_sided:
        return sheets
    return sheets + tuple(replace(s, back=True) for s in sheets)


def _compile(
    board: Board, sheets: tuple[Sheet, ...], fonts: Path | None, kind: _Kind, ppi: float
) -> tuple[bytes, ...]:
    squares = max(board.columns, board.rows)
    narrow = any(s.foot < _WIDE[1] for s in sheets)
    length = f"{1e3 * squares * board.print_square_m:.1f} mm"
    content = {
        "title": f"gaitlab board {board.name}".strip(),
        "words": f"ChArUco {board.columns} x {board.rows}, square "
        f"{1e3 * board.print_square_m:.4g} mm, marker "
        f"{1e3 * board.print_square_m * board.marker_m / board.square_m:.4g} mm, "
        + ", ".join(
            [board.dictionary]
            + [k.replace("_", "-") for k in ("legacy", "inverted", "mirrored") if getattr(board, k)]
        ),
        "check": "Print at 100 %, never “fit to page”. "
        + ("" if narrow else "Glue it flat on a stiff plate. ")
        + f"Then measure {squares} squares in a row with a steel rule: {length} are meant. "
        + (
            ""
            if narrow
            else f"Type what it reads: gaitlab board FILE.toml --measured-mm … --squares {squares}"
        ),
        "size": [1e3 * board.print_square_m * n for n in (board.columns, board.rows)],
        "sheets": [
            {
                "page": s.page,
                "margin": s.margin,
                "foot": s.foot,
                "part": s.part,
                "place": ", ".join(
                    [p for p in (s.place,) if p]
                    + (["back" if s.back else "front"] if board.two_sided else [])
                ),
                "file": "back.svg" if s.back else "front.svg",
            }
            for s in sheets
        ],
    }
    code = cv2.QRCodeEncoder.create().encode(identity(board))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        template = resources.files("calibration").joinpath("board.typ")
        root.joinpath("board.typ").write_bytes(template.read_bytes())
        root.joinpath("content.json").write_text(json.dumps(content), encoding="utf-8")
        root.joinpath("front.svg").write_text(board_svg(board), encoding="utf-8")
        root.joinpath("back.svg").write_text(board_svg(board, back=True), encoding="utf-8")
        root.joinpath("code.svg").write_text(_code_svg(np.asarray(code)), encoding="utf-8")
        # One file's bytes, or a list of them for several PNG pages, which its stub does not say.
        pages: Any = typst.compile(
            root / "board.typ",
            root=root,
            font_paths=[] if fonts is None else [fonts],
            ignore_system_fonts=True,
            format=kind,
            ppi=ppi,
        )
    return tuple(pages) if isinstance(pages, list) else (pages,)


def _code_svg(code: np.ndarray) -> str:
    """Return a QR code (n, n), 0 dark, as one path."""
    path = "".join(f"M{x} {y}h1v1h-1z" for y, x in np.argwhere(code == 0))
    n = len(code)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {n} {n}">'
        f'<path fill="#000" d="{path}"/></svg>'
    )
