"""What has to be known of a network to use it: the card that lies beside its file."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Literal

import msgspec

from lab.errors import FileError, LabError
from reconstruct.skeletons import SKELETONS

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_HASH = re.compile(r"[0-9a-f]{64}")


class ModelCard(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A network and how it wants to be used.

    Attributes:
        name: Its own, as in `model = "..."`.
        kind: "person" finds boxes around people, "pose" keypoints within one.
        licence: Of the weights.
        input_px: (width, height) of its input.
        address: Where the file is fetched from; an .onnx, or a .zip that holds one. Empty for a
            model that was added by hand.
        sha256: Of the .onnx file; empty where it is recorded at first use.
        mean, std: By channel, in the order of `channels`; empty for none.
        channels: Which comes first.
        skeleton: Its keypoints, a name of `configs/skeletons`; only for a pose network.
        person: Name of the person detector that goes before it; empty to take the whole image.
        split: SimCC bins a pixel.
        sharpness: Factor of the outputs within the softmax that the network was trained by.
        padding: By how much a person's box is widened.
        score_least: Of a box (person).
        overlap_most: Above it two boxes are one person.
        person_class: Number of the class person.
    """

    name: str
    kind: Literal["person", "pose"]
    licence: str
    input_px: tuple[int, int]
    address: str = ""
    sha256: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    channels: Literal["rgb", "bgr"] = "rgb"
    skeleton: str = ""
    person: str = ""
    split: float = 2.0
    sharpness: float = 10.0
    padding: float = 1.25
    score_least: float = 0.3
    overlap_most: float = 0.45
    person_class: int = 0


def read_card(text: str, where: str) -> ModelCard:
    """Read a card from TOML.

    Raises:
        FileError: When it is no TOML.
        LabError: When a key is unknown, missing or cannot be.
    """
    try:
        card = msgspec.convert(tomllib.loads(text), ModelCard)
    except tomllib.TOMLDecodeError as fault:
        raise FileError(f"not valid TOML ({fault})", where=where, remedy="Mend it.") from fault
    except msgspec.ValidationError as fault:
        raise LabError(
            str(fault).replace("`", ""),
            where=where,
            remedy="docs/detectors.md shows a card and says what each key means.",
        ) from fault
    faults = [
        (not _NAME.fullmatch(card.name), f"name {card.name!r} has other signs than a-z 0-9 . _ -"),
        (not card.licence.strip(), "licence is empty"),
        (min(card.input_px) < 8, f"input_px is {card.input_px}"),
        (
            len(card.mean) != len(card.std) or len(card.mean) not in (0, 3),
            "mean and std: three or none",
        ),
        (any(s <= 0 for s in card.std), "std has to be positive"),
        (bool(card.sha256) and not _HASH.fullmatch(card.sha256), "sha256 has 64 digits 0-9 a-f"),
        (card.kind == "pose" and card.skeleton not in SKELETONS, f"skeleton {card.skeleton!r}"),
        (min(card.split, card.sharpness, card.padding) <= 0, "split, sharpness, padding"),
        (card.person == card.name, "person is the model itself"),
    ]
    for wrong, what in faults:
        if wrong:
            raise LabError(
                f"the card is wrong: {what}",
                where=where,
                remedy="docs/detectors.md shows a card and says what each key means.",
            )
    return card


def shipped_cards() -> dict[str, ModelCard]:
    """Return the cards that come with gaitlab, by name."""
    folder = resources.files("configs").joinpath("models")
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    cards = [read_card(f.read_text("utf-8"), f.name) for f in files]
    return {card.name: card for card in cards}


def write_card(card: ModelCard) -> bytes:
    """Return a card as TOML, defaults left out."""
    default = msgspec.structs.asdict(ModelCard("a", "pose", "", (1, 1)))
    lines = []
    for key, value in msgspec.structs.asdict(card).items():
        if key in ("name", "kind", "licence", "input_px") or value != default[key]:
            if isinstance(value, str):
                lines.append(f'{key} = "{_escape(value)}"')
            elif isinstance(value, tuple):
                lines.append(f"{key} = [{', '.join(str(v) for v in value)}]")
            else:
                lines.append(f"{key} = {value}")
    return ("\n".join(lines) + "\n").encode()


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def read_card_file(path: Path) -> ModelCard:
    """Read a card; errors as of `read_card`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise FileError(
            "the card cannot be read", where=str(path), remedy="Check the path."
        ) from fault
    return read_card(text, str(path))
