# SPDX-License-Identifier: MIT
"""Ten contexts at once, each an interpreter of its own: from threads and from asyncio."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import cellwall

CODE = "import os; print('in', os.getpid()); sum(i * i for i in range({n}00_000))"


def compute(client: cellwall.Client, n: int) -> str:
    with client.create_context(labels={"job": "squares"}) as context:
        return context.run_code(CODE.format(n=n)).raise_for_error().text or ""


async def compute_async(client: cellwall.AsyncClient, n: int) -> str:
    async with await client.create_context() as context:
        execution = await context.run_code(CODE.format(n=n))
        return execution.raise_for_error().text or ""


async def main() -> list[str]:
    async with cellwall.connect_async() as client:
        return await asyncio.gather(*(compute_async(client, n) for n in range(1, 11)))


with cellwall.connect() as client:
    with ThreadPoolExecutor(10) as pool:
        sums = list(pool.map(lambda n: compute(client, n), range(1, 11)))
for n, total in enumerate(sums, 1):
    print(f"context {n}: {total}")
print("asyncio says the same" if asyncio.run(main()) == sums else "they differ")
