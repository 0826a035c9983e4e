"""A multipart request in, its fields and its file out; whatever is wrong with it is the client's to hear."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from python_multipart.exceptions import FormParserError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from speechxfer.serving.access import ApiError

_MAX_FIELDS = 40


@dataclass(frozen=True)
class Form:
    """What was sent; a file's name is never used.

    Attributes
    ----------
    file
        Open, and on the disk where it is large.
    fields
        All values of each name; `name[]` is `name`.
    """

    file: BinaryIO
    fields: dict[str, list[str]] = field(default_factory=dict)

    def text(self, name: str, otherwise: str = "") -> str:
        """Give the last value of a field."""
        return self.fields.get(name, [otherwise])[-1]

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """Give one of several values, the first if nothing is said."""
        value = self.text(name, choices[0])
        if value not in choices:
            raise ApiError(400, f"{name} is {value[:100]!r}; expected {', '.join(choices)}", name)
        return value

    def number(self, name: str, lowest: float, highest: float, otherwise: float) -> float:
        """Give a number."""
        text = self.text(name, str(otherwise))
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not lowest <= value <= highest:
            raise ApiError(400, f"{name} is {text[:100]!r}; expected a number from {lowest:g} to {highest:g}", name)
        return value


async def read_form(request: Request, max_bytes: float, piece_seconds: float) -> Form:
    """Read an upload.

    Parameters
    ----------
    request
        Of type `multipart/form-data`, with one part `file`.
    max_bytes
        Of all of it.
    piece_seconds
        A client may be silent for so long.

    Returns
    -------
    Form
        The caller closes the request's form.

    Raises
    ------
    ApiError
        400 if it is none, 408 if it does not go on, 413 if it is too large.
    """
    if int(_digits(request.headers.get("content-length", "0"))) > max_bytes:
        raise _too_large(max_bytes)
    limited = Request(request.scope, _limited(request, max_bytes, piece_seconds))
    try:
        form = await limited.form(max_files=1, max_fields=_MAX_FIELDS)
    except HTTPException as error:
        raise ApiError(400, f"cannot read the form: {error.detail}") from None
    except (FormParserError, ValueError, LookupError) as error:
        raise ApiError(400, f"cannot read the form: {error}") from None
    except ClientDisconnect:
        raise ApiError(400, "the upload broke off") from None
    request.state.form = form
    fields: dict[str, list[str]] = {}
    for name, value in form.multi_items():
        if isinstance(value, str):
            fields.setdefault(name.removesuffix("[]"), []).append(value)
    file: Any = form.get("file")
    if not isinstance(file, UploadFile):
        raise ApiError(400, "no file; expected multipart/form-data with a part `file` that has a file name", "file")
    return Form(file.file, fields)


def _limited(request: Request, max_bytes: float, piece_seconds: float) -> Any:
    received = 0

    async def receive() -> Message:
        nonlocal received
        try:
            message = await asyncio.wait_for(request.receive(), piece_seconds)
        except TimeoutError:
            raise ApiError(408, f"nothing more came for {piece_seconds:g} s") from None
        received += len(message.get("body", b""))
        if received > max_bytes:
            raise _too_large(max_bytes)
        return message

    return receive


def _too_large(max_bytes: float) -> ApiError:
    return ApiError(
        413, f"the upload is larger than {max_bytes / 1e6:g} MB; send it in parts, or compressed", "file", "too_large"
    )


def _digits(text: str) -> str:
    return text if text.isascii() and text.isdecimal() else "0"
