# SPDX-License-Identifier: MIT
"""Plain values take a short way to their texts; IPython's own way gives the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.runtimes.conftest import StartRunner
from tests.runtimes.framelib import Runner

VALUES = r"""
import collections, decimal, enum, fractions, sys
class Int(int): pass
class Shown(int):
    def _repr_html_(self): return '<b>shown</b>'
class Text(str):
    def __repr__(self): return 'a\nb'
class Many(list): pass
class Colour(enum.IntEnum): RED = 1
recursive = [1]; recursive.append(recursive)
circle = {}; circle['self'] = circle
deep = [[[[[[1]]]]]]
long_line = ['x' * n for n in range(12)]
edges = [[['x' * n] for n in range(70, 80)], ['y' * 35, 'y' * n]] if (n := 30) else []
values = [
    0, 1, -1, 10**50, 2**100, 10**5000, True, False, None, Int(3), Shown(4), Colour.RED,
    0.0, -0.0, 0.1, 1e300, 1e-300, float('nan'), float('inf'), 1/3, 3j,
    '', 'a', "it's", 'a"b', 'a\nb', '\x1b[31m', 'ü\u2028\x85\x0b', '\ud800', 'x' * 200,
    b'', b'abc', bytearray(b'x'), Text('t'), ..., NotImplemented, Exception('e'),
    [], [1], [1, 2.5, 'three', None, True], [[]], [[1], (2,), {3: 4}], deep, recursive,
    (), (1,), (1, 2), ((),), ((1, 2.5), [3]), Many([1]), [Int(1)], [Shown(2)], [1, 3j],
    {}, {1: 2}, {'a': [1, 2], 'b': {'c': (None,)}}, circle, {1.5: float('nan')},
    {(1, 2): Colour.RED}, set(), {1}, {3, 1, 2}, frozenset(),
    collections.OrderedDict(a=1), collections.Counter('aab'),
    collections.defaultdict(list), collections.deque([1]),
    list(range(10)), list(range(25)), list(range(30)), list(range(41)), list(range(2000)),
    tuple(range(26)), {n: n for n in range(9)}, {n: n for n in range(14)}, long_line,
    ['a\nb'], ['x' * 74], ['x' * 75], ['x' * 76], ['x' * 77], ('x' * 73,), ('x' * 74,),
    ('x' * 75,), {'k': 'x' * 70}, {'k': 'x' * 71}, {'k': 'x' * 72}, {'k': 'x' * 73},
    edges, range(3), int, len, type, print, decimal.Decimal('1.5'),
    fractions.Fraction(1, 3), sys.version_info, [float], [print],
]
"""

COMPARE = r"""
import contextlib, warnings
from IPython.core.formatters import DisplayFormatter
def both(value):
    formatter = get_ipython().display_formatter
    long_way = DisplayFormatter.format.__get__(formatter)
    found = []
    for format in (formatter.format, long_way):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter('always')
            found.append((format(value), [str(one.message) for one in said]))
    return found
def differing():
    found = [(value, both(value)) for value in values]
    return [(type(v), a, b) for v, (a, b) in found if a != b]
print(differing(), len(values))
"""

SETTINGS = {
    "nothing": "",
    "precision": "%precision 3",
    "no precision": "%precision 3\n%precision",
    "format of floats": "text.float_format = '%.1f'",
    "width": "text.max_width = 12",
    "length": "text.max_seq_length = 3",
    "no limit of length": "text.max_seq_length = 0",
    "no pretty printing": "%pprint",
    "verbose": "text.verbose = True",
    "text of int": "text.for_type(int, lambda v, p, c: p.text('i'))",
    "text of object": "text.for_type(object, lambda v, p, c: p.text('o'))",
    "text of list": "text.for_type(list, lambda v, p, c: p.text('l'))",
    "text of bool": "text.for_type(bool, lambda v, p, c: p.text('b'))",
    "text of None": "text.for_type(type(None), lambda v, p, c: p.text('n'))",
    "text of float": "text.for_type(float, lambda v, p, c: p.text('f'))",
    "text by name": "text.for_type_by_name("
    "'builtins', 'bool', lambda v, p, c: p.text('b'))",
    "text of one": "text.singleton_printers[id(values[1])] = "
    "lambda v, p, c: p.text('one')",
    "text of True": "text.singleton_printers[id(True)] = lambda v, p, c: p.text('yes')",
    "no text of str": "text.pop(str)",
    "html of int": "html.for_type(int, lambda v: f'<i>{v}</i>')",
    "html of object": "html.for_type(object, lambda v: '<i>o</i>')",
    "html by name": "html.for_type('builtins.str', lambda v: '<i>s</i>')",
    "html of one": "html.singleton_printers[id(None)] = lambda v: 'n'",
    "html by method": "html.print_method = '__str__'",
    "html that fails": "html.for_type(int, lambda v: 1 / 0)",
    "png of str": "formatters['image/png'].for_type(str, lambda v: (b'p', {'width': 3}))",
    "no html": "html.for_type(int, str)\nhtml.enabled = False",
    "text alone": "html.for_type(int, str)\n"
    "shell.display_formatter.active_types = ['text/plain']",
    "bundle of int": "shell.display_formatter.mimebundle_formatter.for_type("
    "int, lambda v, include=None, exclude=None: {'text/x': 'x'})",
    "display of int": "shell.display_formatter.ipython_display_formatter.for_type("
    "int, lambda v: print('displayed'))",
    "formatter of another class": "from IPython.core.formatters import HTMLFormatter\n"
    "class Mine(HTMLFormatter):\n    def __call__(self, v): return 'mine'\n"
    "formatters['text/html'] = Mine(parent=shell.display_formatter)",
    "formatter of another type": "from IPython.core.formatters import BaseFormatter\n"
    "class Mine(BaseFormatter):\n    format_type = 'text/x'\n"
    "    def __call__(self, v): return 'mine'\n"
    "formatters['text/x'] = Mine(parent=shell.display_formatter)",
    "patched formatter": "from IPython.core.formatters import JSONFormatter\n"
    "JSONFormatter.__call__ = lambda self, value: {'v': 1}",
    "no formatter of text": "del formatters['text/plain']",
}


@pytest.fixture
def prepared(start: StartRunner) -> Iterator[Runner]:
    runner = start()
    runner.run(
        "shell = get_ipython(); formatters = shell.display_formatter.formatters\n"
        "text, html = formatters['text/plain'], formatters['text/html']"
    )
    assert runner.run(VALUES).status == "ok"
    yield runner


@pytest.mark.parametrize("name", SETTINGS)
def test_short_way_gives_what_the_long_way_gives(prepared: Runner, name: str) -> None:
    assert prepared.run(SETTINGS[name]).status == "ok"
    outcome = prepared.run(COMPARE)
    assert outcome.stdout.splitlines()[-1].startswith("[] ")


def test_short_way_is_taken(prepared: Runner) -> None:
    outcome = prepared.run(
        "from IPython.core.formatters import DisplayFormatter\n"
        "DisplayFormatter.format = None\n"
        "quick = shell.display_formatter.format\n"
        "[quick(value)[0]['text/plain'] for value in (1, 'a', 0.5, None, [1, (2,)], {})]"
    )
    assert outcome.result["text/plain"] == (
        "['1', \"'a'\", '0.5', 'None', '[1, (2,)]', '{}']"
    )


CELLS = [
    "1 + 1",
    "x = 5\ny = x if x else 0\ny",
    "f = lambda a, *b, c=1, **d: (a, b, c, d)\nf(1, 2, c=3, e=4)",
    "\n\n  3",
    "  if True:\n      4",
    ">>> 5",
    "In [1]: 6",
    '"""\n>>> 7\n"""',
    "8 ; 9;",
    "10;",
    "'a;b'",
    "a = %who_ls\na",
    "b = !echo hi\nb",
    "# 100 % sure?\n11",
    "'%d' % 12 + '?!'",
    "print?",
    "?print",
    "/len 'abc'",
    ",len abc",
    ";len abc",
    "%%timeit -n1 -r1\npass",
    "%pwd",
    "who_ls",
    "x = (1,\n     2)\nx",
    "'unfinished",
    "(1,",
    "if True:\n1",
    "if True:\n    1\n  2",
    "await __import__('asyncio').sleep(0, 13)",
    "'\\d'",
    "'a\\nb'",
    "return 1",
    "x ==",
    "f'{1!r}'",
    "1\x0c\n2",
    "14\r\n15",
    "",
    "   ",
    "# only this",
]

TRANSFORM = r"""
from IPython.core.inputtransformer2 import TransformerManager
def transformed(manager, cell):
    try:
        return manager.transform_cell(cell)
    except Exception as error:
        return type(error), str(error)
quick, slow = get_ipython().input_transformer_manager, TransformerManager()
[cell for cell in CELLS if transformed(quick, cell) != transformed(slow, cell)]
"""


def test_transformed_cells_are_as_ipythons(shared: Runner) -> None:
    outcome = shared.run(f"CELLS = {CELLS!r}\n{TRANSFORM}")
    assert outcome.result["text/plain"] == "[]"


def test_registered_transformer_sees_every_cell(runner: Runner) -> None:
    runner.run(
        "from IPython.core.inputtransformer2 import TokenTransformBase\n"
        "class Seen(TokenTransformBase):\n"
        "    @classmethod\n"
        "    def find(cls, tokens): print('seen')\n"
        "get_ipython().input_transformer_manager.token_transformers.append(Seen)"
    )
    assert "seen" in runner.run("x = 1").stdout


def test_semicolon_inside_a_value_does_not_keep_it_quiet(shared: Runner) -> None:
    assert shared.run("';'").result["text/plain"] == "';'"


@pytest.mark.parametrize("code", ["7;", "7 ; # c", "x = 1; 7;\n"])
def test_semicolon_keeps_a_value_quiet(shared: Runner, code: str) -> None:
    assert shared.run(code).frames("execute_result") == []
