# SPDX-License-Identifier: MIT
"""Code that asks: `input()` and `getpass()` reach this program."""

import cellwall

CODE = """
from getpass import getpass
name = input("Who are you? ")
word = getpass("And the word? ")
print(f"{name} knows a word of {len(word)} letters")
"""

ANSWERS = {"Who are you? ": "Ada", "And the word? ": "engine"}


def answer(request: cellwall.InputRequest) -> str:
    value = ANSWERS[request.prompt]
    print(request.prompt + ("*" * len(value) if request.password else value))
    return value


with cellwall.connect() as client:
    print(client.run_code(CODE, on_input=answer).logs.stdout, end="")
    # Without an answer to be had, the code gets an error at once and does not hang.
    print(client.run_code("input()").error)
