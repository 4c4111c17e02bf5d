"""gaitlab models: networks that find keypoints, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.folders import models_folder
from console.progress import counts
from console.terminal import out, write_json
from console.verbs.options import AsJson
from lab.errors import FileError
from reconstruct.detect.model_card import ModelCard, read_card_file
from reconstruct.detect.model_store import ModelStore, network_in
from reconstruct.detect.pose import check_network

app = typer.Typer(
    help="Networks that find keypoints in videos.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("list")
def list_models(json: AsJson = False) -> int:
    """List the models known, and whether each is on this machine."""
    store = ModelStore(models_folder())
    cards = store.cards()
    if json:
        write_json(
            {"folder": str(store.folder), "models": [_row(store, c) for c in cards.values()]}
        )
        return 0
    for card in cards.values():
        mark = "✓" if store.has(card) else " "
        points = f"{card.skeleton}, boxes by {card.person or 'the whole image'}"
        what = points if card.kind == "pose" else "boxes around people"
        out.print(f"{mark} {card.name:<22} {card.kind:<7} {what} ({card.licence})", markup=False)
    out.print(f"✓ = in {store.folder}; get others with: gaitlab models get NAME", markup=False)
    return 0


@app.command("get")
def get(
    name: Annotated[str, typer.Argument(help="As in gaitlab models list.")],
    json: AsJson = False,
) -> int:
    """Fetch a model, and the person detector that it needs, and check them."""
    store = ModelStore(models_folder())
    cards = [store.card(name)]
    if cards[0].person:
        cards.append(store.card(cards[0].person))
    kept = []
    with counts() as progress:
        for card in cards:
            stored = store.cards()[card.name]
            if not _is_whole(store, stored):
                stored = store.fetch(
                    card.name,
                    check_network,
                    lambda done, total, what=card.name: progress(done, total, what),
                )
            kept.append(stored)
    _tell(store, kept, json)
    return 0


@app.command("add")
def add(
    card: Annotated[Path, typer.Argument(help="Its card, TOML.")],
    network: Annotated[Path, typer.Argument(help="The .onnx, or a .zip that holds it.")],
    json: AsJson = False,
) -> int:
    """Add a model from files, without a network."""
    store = ModelStore(models_folder())
    known = store.cards()
    # A shipped card can be named instead of given as a file.
    stated = known[str(card)] if str(card) in known else read_card_file(card)
    try:
        content = network_in(network.read_bytes(), str(network))
    except OSError as fault:
        raise FileError(
            f"cannot be read ({fault.strerror})", where=str(network), remedy="Check the path."
        ) from fault
    check_network(stated, content)
    _tell(store, [store.add(stated, content, str(network))], json)
    return 0


def _is_whole(store: ModelStore, card: ModelCard) -> bool:
    if not store.has(card):
        return False
    try:
        store.file(card.name)
    except FileError:
        return False
    return True


def _row(store: ModelStore, card: ModelCard) -> dict[str, object]:
    return {
        "name": card.name,
        "kind": card.kind,
        "here": store.has(card),
        "sha256": card.sha256,
        "licence": card.licence,
        "skeleton": card.skeleton,
        "person": card.person,
        "address": card.address,
    }


def _tell(store: ModelStore, cards: list[ModelCard], json: bool) -> None:
    if json:
        write_json({"folder": str(store.folder), "models": [_row(store, c) for c in cards]})
        return
    for card in cards:
        out.print(f"✓ {card.name} sha256 {card.sha256} ({card.licence})", markup=False)
