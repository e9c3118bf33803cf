# SPDX-License-Identifier: MIT
"""An agent's loop: run the code, show the model its error, run what it writes instead.

The model here is a list of answers, so that the example runs alone. A real one gets the
same text: the plain traceback, and what the code has printed until then.
"""

from __future__ import annotations

from collections.abc import Iterator

import cellwall

QUESTION = "What is the median of the orders, in euros?"
ANSWERS = [
    "import statistics\nstatistics.median(order['total'] for order in orders)",
    "orders = [{'total': '12.50'}, {'total': '7.95'}, {'total': '31.00'}]\n"
    "statistics.median(order['total'] * 1.0 for order in orders)",
    "statistics.median(float(order['total']) for order in orders)",
]


def model(conversation: list[str], answers: Iterator[str]) -> str:
    """A stand-in for a language model: it reads the conversation and writes code."""
    return next(answers)


def solve(context: cellwall.Context, question: str, attempts: int = 5) -> str:
    conversation = [question]
    answers = iter(ANSWERS)
    for attempt in range(1, attempts + 1):
        code = model(conversation, answers)
        execution = context.run_code(code, timeout=10)
        print(f"attempt {attempt}: {code.splitlines()[-1]}")
        if execution.ok:
            return execution.text or execution.logs.stdout
        if execution.reason is not None:
            # The truth about what is left: a model that does not know it goes astray.
            lost = "are lost" if execution.reason.variables_lost else "are kept"
            told = f"{execution.reason}; your variables {lost}"
        else:
            assert execution.error is not None
            told = execution.error.traceback
            print(f"  {execution.error}")
        conversation += [code, execution.logs.stdout + told]
    raise SystemExit("no answer")


with cellwall.connect() as client:
    with client.create_context() as context:
        print(f"{QUESTION} {solve(context, QUESTION)}")
