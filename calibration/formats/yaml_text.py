"""The part of YAML that calibration files use, read without a library.

Mappings and sequences in blocks or in brackets, plain and quoted scalars, comments; OpenCV's tag
for matrices is passed over, the mapping that follows it being plain. Anchors, references, several
documents and text over several lines are not part of it and are refused.
"""

from __future__ import annotations

import json
import re
from typing import Any

from lab.errors import FileError

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_SPECIAL = {
    ".nan": float("nan"), ".inf": float("inf"), "-.inf": float("-inf"), "+.inf": float("inf"),
    "true": True, "false": False, "null": None, "~": None,
}  # fmt: skip
_DEEPEST = 40

# A line: how far it is indented, what it says, its number.
_Line = tuple[int, str, int]


def read_yaml(text: str, where: str) -> Any:
    """Return the content of a YAML text as dicts, lists, numbers and text.

    Raises:
        FileError: When it is damaged, or uses what is not read here.
    """
    lines = _lines(text, where)
    if not lines:
        raise FileError("the file is empty", where=where)
    reader = _Reader(lines, where)
    content = reader.block(lines[0][0], 0)
    if reader.at < len(lines):
        raise reader.fault("the indentation is wrong", lines[reader.at][2])
    return content


def _lines(text: str, where: str) -> list[_Line]:
    """Split into lines without comments; what stands in brackets is joined into one."""
    result: list[_Line] = []
    open_brackets = 0
    for count, raw in enumerate(text.splitlines(), 1):
        line = _without_comment(raw.expandtabs(8).rstrip())
        content = line.strip()
        if not content or (open_brackets == 0 and content.startswith(("%", "---", "..."))):
            continue
        if open_brackets > 0:
            indent, before, first = result[-1]
            result[-1] = (indent, f"{before} {content}", first)
        else:
            result.append((len(line) - len(line.lstrip()), content, count))
        bare = re.sub(r'"[^"]*"|\'[^\']*\'', "", content)
        open_brackets += sum(bare.count(c) for c in "[{") - sum(bare.count(c) for c in "]}")
    if open_brackets > 0:
        raise FileError("a bracket is not closed; the end is missing", where=where)
    return result


def _without_comment(line: str) -> str:
    quote = ""
    for place, sign in enumerate(line):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'" and (place == 0 or line[place - 1] in " [{,:-"):
            quote = sign
        elif sign == "#" and (place == 0 or line[place - 1] == " "):
            return line[:place].rstrip()
    return line


class _Reader:
    def __init__(self, lines: list[_Line], where: str) -> None:
        self.lines = list(lines)
        self.where = where
        self.at = 0

    def fault(self, what: str, line: int) -> FileError:
        return FileError(f"line {line}: {what}", where=self.where)

    def block(self, indent: int, depth: int) -> Any:
        """Read the mapping, sequence or scalar that begins at the line at hand."""
        if depth > _DEEPEST:
            raise self.fault("nested too deeply", self.lines[self.at][2])
        content = self.lines[self.at][1]
        if content == "-" or content.startswith("- "):
            return self._sequence(indent, depth)
        if _key_of(content) is not None:
            return self._mapping(indent, depth)
        _, content, line = self.lines[self.at]
        self.at += 1
        return self._inline(content, line)

    def _sequence(self, indent: int, depth: int) -> list[Any]:
        items: list[Any] = []
        while self._here(indent) and (self.lines[self.at][1] + " ").startswith("- "):
            _, content, line = self.lines[self.at]
            rest = content[1:].lstrip()
            if rest:
                # What follows the dash is a line of its own, further in.
                inner = indent + len(content) - len(rest)
                self.lines[self.at] = (inner, rest, line)
                items.append(self.block(inner, depth + 1))
            else:
                self.at += 1
                items.append(self._nested(indent, depth))
        return items

    def _mapping(self, indent: int, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._here(indent):
            _, content, line = self.lines[self.at]
            split = _key_of(content)
            if split is None:
                raise self.fault(f"a key and a colon are expected, got {content[:40]!r}", line)
            key, rest = split
            if key in found:
                raise self.fault(f"{key} stands there twice", line)
            self.at += 1
            rest = re.sub(r"^!!\S+\s*", "", rest)
            if rest:
                found[key] = self._inline(rest, line)
            elif self._here(indent) and (self.lines[self.at][1] + " ").startswith("- "):
                found[key] = self._sequence(indent, depth + 1)
            else:
                found[key] = self._nested(indent, depth)
        return found

    def _nested(self, indent: int, depth: int) -> Any:
        if self.at < len(self.lines) and self.lines[self.at][0] > indent:
            return self.block(self.lines[self.at][0], depth + 1)
        return None

    def _here(self, indent: int) -> bool:
        return self.at < len(self.lines) and self.lines[self.at][0] == indent

    def _inline(self, text: str, line: int) -> Any:
        value, rest = self._value(text, line, 0)
        if rest:
            if text[0] in "[{\"'":
                raise self.fault(
                    f"something follows that does not belong there: {rest[:40]!r}", line
                )
            return _scalar(text)
        return value

    def _value(self, text: str, line: int, depth: int) -> tuple[Any, str]:
        """Read one value in brackets or alone; return it and what follows."""
        text = text.lstrip()
        if depth > _DEEPEST:
            raise self.fault("nested too deeply", line)
        if text[:1] in ("&", "*", "|", ">", "!"):
            raise self.fault(f"{text[:20]!r} is a part of YAML that is not read here", line)
        if text[:1] in ('"', "'"):
            return self._quoted(text, line)
        if text[:1] == "[":
            return self._in_brackets(text, line, depth)
        if text[:1] == "{":
            return self._in_braces(text, line, depth)
        end = re.search(r"[,\]}]", text) if depth else None
        place = end.start() if end else len(text)
        return _scalar(text[:place].strip()), text[place:].lstrip()

    def _quoted(self, text: str, line: int) -> tuple[str, str]:
        if text[0] == "'":
            match = re.match(r"'((?:[^']|'')*)'", text)
            if match:
                return match[1].replace("''", "'"), text[match.end() :].lstrip()
        else:
            match = re.match(r'"(?:[^"\\]|\\.)*"', text)
            if match:
                try:
                    return json.loads(match[0], strict=False), text[match.end() :].lstrip()
                except ValueError:
                    return match[0][1:-1], text[match.end() :].lstrip()
        raise self.fault("a quotation mark is not closed", line)

    def _in_brackets(self, text: str, line: int, depth: int) -> tuple[list[Any], str]:
        items: list[Any] = []
        rest = text[1:].lstrip()
        while rest and rest[0] != "]":
            value, rest = self._value(rest, line, depth + 1)
            items.append(value)
            rest = self._after_item(rest, "]", line)
        if not rest:
            raise self.fault("a bracket is not closed", line)
        return items, rest[1:].lstrip()

    def _in_braces(self, text: str, line: int, depth: int) -> tuple[dict[str, Any], str]:
        found: dict[str, Any] = {}
        rest = text[1:].lstrip()
        while rest and rest[0] != "}":
            match = re.match(r"(\"[^\"]*\"|'[^']*'|[^,:{}\[\]]+?)\s*:\s*", rest)
            if not match:
                raise self.fault("a key and a colon are expected", line)
            value, rest = self._value(rest[match.end() :], line, depth + 1)
            found[match[1].strip("\"'")] = value
            rest = self._after_item(rest, "}", line)
        if not rest:
            raise self.fault("a brace is not closed", line)
        return found, rest[1:].lstrip()

    def _after_item(self, rest: str, end: str, line: int) -> str:
        if rest[:1] == ",":
            return rest[1:].lstrip()
        if rest[:1] != end:
            raise self.fault(f"a comma or {end} is expected", line)
        return rest


def _key_of(content: str) -> tuple[str, str] | None:
    """Split a line at its key; None where it has none."""
    match = re.match(
        r"(\"[^\"]*\"|'[^']*'|[^\s\"'\[{#&*!|>%@`-][^#]*?|-[^\s][^#]*?)\s*:(?:\s+|$)", content
    )
    if not match:
        return None
    return match[1].strip("\"'"), content[match.end() :]


def _scalar(text: str) -> Any:
    if text.lower() in _SPECIAL:
        return _SPECIAL[text.lower()]
    # A name like 01 stays a name.
    if _NUMBER.fullmatch(text) and not re.fullmatch(r"0\d+", text):
        return int(text) if re.fullmatch(r"[-+]?\d{1,18}", text) else float(text)
    return text
