# SPDX-License-Identifier: MIT
"""Members of what the server says, looked at before they are believed."""

from __future__ import annotations

from typing import Any, TypeVar

from ._errors import ProtocolError

T = TypeVar("T")


class Fields:
    """The members of one JSON object. Each getter raises ProtocolError when the member is
    missing or of another type; a default makes it one that may be missing or null."""

    _NEEDED: Any = object()

    def __init__(self, value: object, what: str) -> None:
        if not isinstance(value, dict):
            raise ProtocolError(f"{what} is not an object")
        self.all: dict[str, Any] = value
        self.what = what

    def _get(self, name: str, kind: type | tuple[type, ...], default: T) -> Any:
        value = self.all.get(name)
        if value is None and default is not self._NEEDED:
            return default
        is_odd_boolean = isinstance(value, bool) and kind is not bool
        if not isinstance(value, kind) or is_odd_boolean:
            raise ProtocolError(f"{self.what}: {name} is missing or of a wrong type")
        return value

    def text(self, name: str, default: Any = _NEEDED) -> Any:
        return self._get(name, str, default)

    def integer(self, name: str, default: Any = _NEEDED) -> Any:
        return self._get(name, int, default)

    def number(self, name: str, default: Any = _NEEDED) -> Any:
        return self._get(name, (int, float), default)

    def boolean(self, name: str, default: Any = _NEEDED) -> Any:
        return self._get(name, bool, default)

    def array(self, name: str, default: Any = _NEEDED) -> Any:
        return self._get(name, list, default)

    def object(self, name: str, default: Any = _NEEDED) -> Any:
        return self._get(name, dict, default)

    def fields(self, name: str) -> Fields:
        """The members of the object NAME."""
        return Fields(self.object(name), f"{self.what}: {name}")

    def texts(self, name: str, default: Any = _NEEDED) -> Any:
        """An array of strings."""
        values = self.array(name, default)
        if values is not default and not all(isinstance(v, str) for v in values):
            raise ProtocolError(f"{self.what}: {name} has other things than strings")
        return values
