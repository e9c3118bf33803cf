# SPDX-License-Identifier: MIT
"""Files go in and come out as bytes, and outlive the interpreter."""

import cellwall

with cellwall.connect() as client, client.create_context() as context:
    files = context.files
    files.write("data/words.txt", "one\ntwo\nthree\n")
    context.run_code(
        "words = open('data/words.txt').read().split()\n"
        "open('data/upper.txt', 'w').write(' '.join(words).upper())"
    ).raise_for_error()
    print(files.read_text("data/upper.txt"))

    blob = bytes(range(256)) * 200_000  # more than goes into one message
    print("wrote", files.write("blob.bin", blob), "bytes")
    print("read back the same:", files.read("blob.bin") == blob)

    context.restart()
    print("after a restart:", context.run_code("'words' in globals()").text)
    for entry in files.list(recursive=True):
        print(f"{entry.type:9} {entry.size:9} {entry.path}")

    files.remove("data", recursive=True)
    try:
        files.read("data/words.txt")
    except cellwall.FileNotFound as error:
        print("gone:", error.code)
