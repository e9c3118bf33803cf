# SPDX-License-Identifier: MIT
"""Python values as the JSON texts that frames carry."""

from __future__ import annotations

import base64
import codecs
import datetime
import json
import math
import numbers
import re
from collections.abc import Iterable, Mapping
from typing import Any

# Bounds of an error: it must fit into its frame, whatever user code raised.
_NAME_CHARACTERS = 1024
_VALUE_CHARACTERS = 1 << 20
_TRACEBACK_CHARACTERS = 4 << 20
_MIME = re.compile(r"[\w+.-]+/[\w+.-]+", re.ASCII)
_CUT = "\n[... {} characters left out ...]\n"


def _escape_surrogates(error: UnicodeError) -> tuple[str, int]:
    """Writes a lone surrogate inside JSON as the six characters of its escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(f"\\\\u{ord(character):04x}" for character in text), error.end


codecs.register_error("cellwall-json", _escape_surrogates)


def _default(value: Any) -> Any:
    """What JSON has no type for; the same choices as ipykernel's."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON: {value!r:.200}")


_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_default
)


def _clean(value: Any) -> Any:
    """A copy with null for numbers that JSON has not, and with text for all keys."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {
            key if isinstance(key, str) else str(key): _clean(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    return _clean(_default(value))


def encode(value: Mapping[str, Any]) -> bytes:
    """VALUE as JSON in UTF-8. ValueError, TypeError: it holds what JSON cannot."""
    try:
        text = _ENCODER.encode(value)
    except (ValueError, TypeError):
        try:
            text = _ENCODER.encode(_clean(value))
        except RecursionError:
            raise ValueError("the data refers to itself or is nested too deep") from None
    except RecursionError:
        raise ValueError("the data is nested too deep") from None
    return text.encode("utf-8", "cellwall-json")


def encode_bundle(data: Mapping[str, Any]) -> dict[str, Any]:
    """A MIME bundle, binary data as base64. ValueError: a key is no MIME type."""
    for mime in data:
        if not isinstance(mime, str) or not _MIME.fullmatch(mime):
            raise ValueError(f"{mime!r:.200} is not a MIME type")
    return {
        mime: _default(value)
        if isinstance(value, (bytes, bytearray, memoryview))
        else value
        for mime, value in data.items()
    }


def _cut(text: str, characters: int) -> str:
    if len(text) <= characters:
        return text
    half = characters // 2
    return text[:half] + _CUT.format(len(text) - 2 * half) + text[-half:]


def describe(value: BaseException) -> str:
    """`str(value)`, which is user code and may itself fail."""
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}: its text cannot be shown>"


def error_content(name: str, value: str, traceback: Iterable[str]) -> dict[str, Any]:
    """The content of an error message, within bounds."""
    lines: list[str] = []
    room = _TRACEBACK_CHARACTERS
    for line in traceback:
        line = _cut(str(line), max(room, 1024))
        room -= len(line)
        lines.append(line)
        if room <= 0:
            break
    return {
        "ename": _cut(name, _NAME_CHARACTERS),
        "evalue": _cut(value, _VALUE_CHARACTERS),
        "traceback": lines,
    }
