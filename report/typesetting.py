"""Templates and plain values in, PDF/A out: the same values give the same bytes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

import typst

_STANDARD = "a-2a"  # PDF/A-2, level A: kept for long, and readable by a screen reader
_NOTHING: Mapping[str, bytes] = MappingProxyType({})


def typeset(
    templates: Sequence[str],
    content: Mapping[str, Any],
    moment: datetime,
    pictures: Mapping[str, bytes] = _NOTHING,
) -> bytes:
    """Return the PDF that the first of the templates makes of the content.

    Args:
        templates: Names of Typst files of this package; the first one is the document.
        content: Read by the template as content.json; no NaN.
        moment: The file's date.
        pictures: Further files beside the templates, by name.
    """
    with _laid_out(templates, content, pictures) as (root, fonts):
        return typst.compile(
            root / templates[0],
            root=root,
            font_paths=[fonts],
            ignore_system_fonts=True,
            format="pdf",
            pdf_standards=_STANDARD,
            timestamp=moment,
        )


def typeset_pages(
    templates: Sequence[str],
    content: Mapping[str, Any],
    pictures: Mapping[str, bytes] = _NOTHING,
    dpi: float = 110.0,
) -> list[bytes]:
    """Return each page of what `typeset` makes, as a PNG."""
    with _laid_out(templates, content, pictures) as (root, fonts):
        made = typst.compile(
            root / templates[0],
            root=root,
            font_paths=[fonts],
            ignore_system_fonts=True,
            format="png",
            ppi=dpi,
        )
    return [made] if isinstance(made, bytes) else list(made or ())


@contextmanager
def _laid_out(
    templates: Sequence[str], content: Mapping[str, Any], pictures: Mapping[str, bytes]
) -> Iterator[tuple[Path, Path]]:
    """Put everything into a folder for a while; that folder, and that of the fonts."""
    package = resources.files("report")
    with (
        tempfile.TemporaryDirectory() as folder,
        resources.as_file(package.joinpath("fonts")) as fonts,
    ):
        root = Path(folder)
        for name in templates:
            root.joinpath(name).write_bytes(package.joinpath(name).read_bytes())
        text = json.dumps(content, ensure_ascii=False, allow_nan=False)
        root.joinpath("content.json").write_text(text, encoding="utf-8")
        for name, picture in pictures.items():
            root.joinpath(name).write_bytes(picture)
        yield root, fonts
