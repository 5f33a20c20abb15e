"""Writes the published JSON Schemas of predue's events, as the models make them."""

import json
from pathlib import Path

from predue.outbound.published import MODELS, schema

FOLDER = Path(__file__).parents[2] / "docs/schemas"


def files() -> dict[str, str]:
    """The text of each file, by its name."""
    return {f"{name}.v1.json": json.dumps(schema(model), indent=2) + "\n" for name, model in MODELS.items()}


if __name__ == "__main__":
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
