# SPDX-License-Identifier: GPL-2.0-only
"""Reading the TOML that people write, with errors that name the file and the key."""

import re
import tomllib
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from mmrace.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return text


Regex = Annotated[str, AfterValidator(_regex)]


class Table(BaseModel):
    """A table of such a file: frozen, and a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def read_toml(path: Path, model: type[Model]) -> Model:
    """Read and check one file; UserError names the file, the key and what is wrong with it."""
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
        return model.model_validate(content)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not TOML: {error}; correct that line") from error
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; name a readable file") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        parts = (str(path), where, first["msg"])
        raise UserError(": ".join(filter(None, parts))) from error
