# SPDX-License-Identifier: MIT
"""The texts of plain values, in a tenth of the time.

IPython asks a dozen formatters about every value. For numbers, texts and small containers
of them the answer is known, as long as nobody has told a formatter otherwise: the `repr`
and nothing else. In doubt IPython is asked.
"""

from __future__ import annotations

from typing import Any

from IPython.core import formatters
from IPython.core.formatters import DisplayFormatter, PlainTextFormatter
from IPython.lib import pretty

_SCALARS = frozenset({int, float, str, bool, type(None)})
_CONTAINERS = frozenset({list, tuple, dict})
_DEPTH_MAX = 4
_LENGTH_MAX = 40  # more do not fit into a line of the usual width


def _stock_formatters() -> dict[type, tuple[Any, Any]]:
    """How IPython's own formatters work: what is called, and the method looked for."""
    found = {}
    for kind in vars(formatters).values():
        if isinstance(kind, type) and issubclass(kind, formatters.BaseFormatter):
            found[kind] = kind.__call__, kind.print_method.default_value
    return found


_STOCK = _stock_formatters()


def _is_silent(formatter: Any, kinds: tuple[type, ...], identity: int) -> bool:
    """Whether FORMATTER, not the one for text, has nothing to say about a value."""
    stock = _STOCK.get(type(formatter))
    values = formatter._trait_values  # as they are: looking them up takes longer
    if stock is None or type(formatter).__call__ is not stock[0]:
        return False
    if values.get("print_method", stock[1]) != stock[1]:
        return False
    singletons = values.get("singleton_printers")
    types = values.get("type_printers")
    deferred = values.get("deferred_printers")
    if deferred and any(("builtins", kind.__name__) in deferred for kind in kinds):
        return False
    if types and any(kind in types for kind in kinds):
        return False
    return not (singletons and identity in singletons)


class QuickDisplayFormatter(DisplayFormatter):
    """IPython's, with a short way for plain values."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        text = self.formatters["text/plain"]
        kinds = (*_SCALARS, *_CONTAINERS)
        self._own_printers = {kind: text.type_printers.get(kind) for kind in kinds}
        self._own_singletons = {
            id(value): pretty._singleton_pprinters.get(id(value))  # type: ignore[attr-defined]
            for value in (None, True, False)
        }

    def format(self, obj: Any, include: Any = None, exclude: Any = None) -> Any:
        """As IPython's."""
        kind = type(obj)
        if (kind in _SCALARS or kind in _CONTAINERS) and not (include or exclude):
            text = self._plain_text(obj, kind)
            if text is not None and self._is_text_all(kind.__mro__, id(obj)):
                return {"text/plain": text}, {}
        return super().format(obj, include, exclude)

    def _is_text_all(self, kinds: tuple[type, ...], identity: int) -> bool:
        return (
            _is_silent(self.ipython_display_formatter, kinds, identity)
            and _is_silent(self.mimebundle_formatter, kinds, identity)
            and all(
                _is_silent(formatter, kinds, identity)
                for mime, formatter in self.formatters.items()
                if mime != "text/plain"
            )
        )

    def _plain_text(self, obj: Any, kind: type) -> str | None:
        """The text of OBJ; None: only IPython knows."""
        formatter = self.formatters.get("text/plain")
        if type(formatter) is not PlainTextFormatter or not formatter.pprint:
            return None
        if PlainTextFormatter.__call__ is not _STOCK[PlainTextFormatter][0]:
            return None
        if not self._is_plain(obj, formatter, 0):
            return None
        if kind is float:
            return str(formatter.float_format % obj)
        try:
            text = repr(obj)
        except ValueError:
            return None  # an integer of too many digits
        if kind in _CONTAINERS and len(text) > formatter.max_width:
            return None  # on several lines
        return text

    def _is_plain(self, obj: Any, formatter: Any, depth: int) -> bool:
        """Whether the text of OBJ, inside DEPTH containers, is its `repr`."""
        kind = type(obj)
        own = self._own_printers.get(kind)
        if formatter.type_printers.get(kind) is not own:
            return False
        singleton = formatter.singleton_printers.get(id(obj))
        if singleton is not self._own_singletons.get(id(obj)):
            return False
        if own is None and singleton is None:
            return False
        if kind in _SCALARS:
            return kind is not float or depth == 0 or formatter.float_format == "%r"
        if kind not in _CONTAINERS or depth >= _DEPTH_MAX or len(obj) > _LENGTH_MAX:
            return False
        if 0 < formatter.max_seq_length <= len(obj):
            return False
        inside = [*obj, *obj.values()] if kind is dict else obj
        return all(self._is_plain(item, formatter, depth + 1) for item in inside)
