# SPDX-License-Identifier: MIT
"""The notebooks that are tested by the rows of notebooks.py: what data people keep in
theirs, and always the same outputs."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient

KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
TIMEOUT_S = 120
AT_ONCE = 2

SALES = """\
rng = np.random.default_rng(SEED)
sales = pd.DataFrame({
    "day": pd.date_range("2024-01-01", periods=ROWS, freq="D"),
    "shop": rng.choice(["north", "south", "east", "west"], ROWS),
    "items": rng.integers(1, 50, ROWS),
    "price": rng.gamma(4.0, 5.0, ROWS).round(2),
})
sales["total"] = sales["items"] * sales["price"]
sales.head()"""

FRAMES = "import numpy as np\nimport pandas as pd"
PLOTS = f"{FRAMES}\nimport matplotlib.pyplot as plt\n%matplotlib inline"

TABLES = [
    "sales.describe()",
    "sales.dtypes",
    'sales.groupby("shop")["total"].agg(["count", "mean", "max"]).round(2)',
    'sales.sort_values("total", ascending=False).head(10)',
    'sales.pivot_table(index="shop", columns=sales["day"].dt.month, values="items",\n'
    '                  aggfunc="sum", fill_value=0)',
    'sales.set_index("day")["total"].resample("W").sum().head(6)',
    'best = sales.loc[sales.groupby("shop")["total"].idxmax()]\nbest',
    'print(f"{len(sales)} sales of {sales.total.sum():,.2f} in all")',
    'sales["price"].quantile([0.1, 0.5, 0.9])',
    'sales.query("items > 40").shape',
    'pd.crosstab(sales["shop"], sales["items"] > 25)',
    'sales[["items", "price", "total"]].corr().round(3)',
]

# No semicolon keeps a result quiet: to nbval, which stores no history, it would not.
FIGURES = [
    'fig, axes = plt.subplots(figsize=(6, 3))\naxes.hist(sales["price"], bins=30)\n'
    'axes.set_xlabel("price")\nplt.show()',
    'sales.groupby("shop")["total"].sum().plot.bar(rot=0)\nplt.show()',
    'fig, axes = plt.subplots()\naxes.scatter(sales["items"], sales["total"], s=6)\n'
    'axes.set_title("items and totals")\nplt.show()',
    'daily = sales.set_index("day")["total"].rolling(7).mean()\n'
    "daily.plot(figsize=(7, 3))\ndaily.describe()",
]

NUMBERS = [
    "rng = np.random.default_rng(SEED)\na = rng.normal(size=(6, 6))\na.round(3)",
    "q, r = np.linalg.qr(a)\nnp.allclose(q @ r, a)",
    "print(np.linalg.svd(a, compute_uv=False).round(6))",
    "np.linalg.solve(a, np.arange(6.0)).round(4)",
    "signal = np.sin(np.linspace(0, 40, 512)) + rng.normal(0, 0.1, 512)\n"
    "np.abs(np.fft.rfft(signal)).argmax()",
    "for power in range(1, 6):\n"
    '    print(power, np.linalg.matrix_power(a, power).trace().round(4), sep="\\t")',
    "np.polyfit(np.arange(20), np.arange(20) ** 2 + rng.normal(size=20), 2).round(2)",
    "walk = rng.normal(size=(1000, 200)).cumsum(axis=1)\nwalk[:, -1].std().round(4)",
    "np.histogram(walk[:, -1], bins=8)",
    "np.percentile(walk, [5, 50, 95], axis=0)[:, ::50].round(3)",
]

WORDS = [
    "import json\nimport re\nfrom collections import Counter\n\n"
    'text = "the quick brown fox jumps over the lazy dog and the cat " * ROWS\nlen(text)',
    "Counter(re.findall(r'\\w+', text)).most_common(4)",
    'print("\\n".join(sorted(set(text.split()))))',
    "json.dumps(dict(Counter(text)), sort_keys=True)[:60]",
    "def primes(limit):\n    sieve = bytearray([1]) * limit\n"
    "    for n in range(2, int(limit**0.5) + 1):\n        if sieve[n]:\n"
    "            sieve[n * n :: n] = bytes(len(range(n * n, limit, n)))\n"
    "    return [n for n in range(2, limit) if sieve[n]]\n\n\nlen(primes(100_000))",
    "primes(60)",
    "for i, word in enumerate(text.split()[:8]):\n"
    '    print(f"{i:>3} {word:<8} {len(word)}")',
    "try:\n    int(text[:3])\nexcept ValueError as error:\n    print(error)",
    '{word: text.count(word) for word in ("fox", "dog", "cat")}',
]


def sources(number: int) -> Iterator[str]:
    """The cells of the notebook NUMBER, 8 to 15."""
    seed, rows = 1000 + number, 200 + 20 * number
    kind = number % 5
    if kind == 4:
        cells = [*WORDS]
    elif kind == 3:
        cells = ["import numpy as np", *NUMBERS]
    elif kind == 2:
        cells = [FRAMES, SALES, *TABLES]
    else:
        cells = [PLOTS, SALES, *TABLES[number % 3 :: 2], *FIGURES[: 2 + 2 * kind]]
    for cell in cells:
        yield cell.replace("SEED", str(seed)).replace("ROWS", str(rows))


async def execute_all(notebooks: list[nbformat.NotebookNode]) -> None:
    places = asyncio.Semaphore(AT_ONCE)

    async def execute(notebook: nbformat.NotebookNode) -> None:
        async with places:
            client = NotebookClient(notebook, timeout=TIMEOUT_S, record_timing=False)
            await client.async_execute(stderr=subprocess.DEVNULL)

    await asyncio.gather(*(execute(notebook) for notebook in notebooks))


def write(folder: Path, count: int) -> int:
    """COUNT notebooks in FOLDER, with outputs of ipykernel; how many cells they have."""
    notebooks = []
    for number in range(count):
        cells = [
            nbformat.v4.new_code_cell(source, id=f"cell-{place}")
            for place, source in enumerate(sources(number))
        ]
        cells.insert(0, nbformat.v4.new_markdown_cell(f"# Report {number}", id="title"))
        metadata = {"kernelspec": KERNELSPEC}
        notebooks.append(nbformat.v4.new_notebook(cells=cells, metadata=metadata))
    asyncio.run(execute_all(notebooks))
    for number, notebook in enumerate(notebooks):
        nbformat.write(notebook, folder / f"report-{number:02}.ipynb")
    return sum(len(notebook.cells) - 1 for notebook in notebooks)
