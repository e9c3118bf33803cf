# SPDX-License-Identifier: MIT
"""Tells the host what this interpreter is and which folders it needs in the sandbox.

Run by the interpreter in question, outside of any sandbox, when a kernelspec is
installed. Prints one JSON object; `error` is text for the user if no context can be made
with it.
"""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from importlib import metadata
from typing import Any
from urllib.parse import unquote, urlparse

RUNTIME = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != RUNTIME]

# Shown in every sandbox, or made up there.
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc")
NEVER = ("/proc", "/sys", "/dev", "/run")


def is_inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def executable_chain() -> Iterator[str]:
    """The folders of the interpreter and of each symbolic link on the way to it."""
    path, seen = sys.executable, set()
    while path and path not in seen:
        seen.add(path)
        yield os.path.dirname(path)
        if not os.path.islink(path):
            break
        path = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))
    yield os.path.dirname(os.path.realpath(sys.executable))


def mapped_packages() -> Iterator[str]:
    """Where the import hooks of editable installs find their packages."""
    for name, module in list(sys.modules.items()):
        mapping = getattr(module, "MAPPING", None)
        if name.startswith("__editable__") and isinstance(mapping, dict):
            yield from (str(path) for path in mapping.values())


def editable_projects(known: Iterable[str]) -> Iterator[str]:
    """The folders of editable installs that no entry of KNOWN leads into."""
    known = list(known)
    for distribution in metadata.distributions():
        text = distribution.read_text("direct_url.json")
        try:
            origin = json.loads(text) if text else {}
        except ValueError:
            continue
        url = urlparse(origin.get("url", ""))
        if url.scheme != "file" or not origin.get("dir_info", {}).get("editable"):
            continue
        folder = os.path.normpath(unquote(url.path))
        if not any(is_inside(path, folder) for path in known):
            yield folder


def candidates() -> Iterator[str]:
    yield from (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)
    yield from executable_chain()
    yield sysconfig.get_config_var("LIBDIR") or ""
    imports = [path for path in sys.path if path]
    imports.extend(mapped_packages())
    yield from imports
    yield from editable_projects(imports)


def is_wanted(path: str) -> bool:
    """Whether PATH is a folder that a sandbox may show. Never the whole home folder."""
    home = os.path.expanduser("~")
    return (
        os.path.isabs(path)
        and os.path.isdir(path)
        and not any(is_inside(path, folder) for folder in (*SYSTEM, *NEVER))
        and not is_inside(home, path)
        and not is_inside(os.path.realpath(home), os.path.realpath(path))
    )


def mounts() -> list[str]:
    """The folders, without those inside others, each as it is named and as it is."""
    found: list[str] = []
    for path in candidates():
        for name in (os.path.normpath(path), os.path.realpath(path)) if path else ():
            if is_wanted(name):
                found.append(name)
    found = sorted(set(found), key=lambda name: (name.count("/"), name))
    kept: list[str] = []
    for name in found:
        if not any(is_inside(name, folder) for folder in kept):
            kept.append(name)
    return kept


def find_ipython() -> tuple[str | None, str | None]:
    """IPython's version, and what is wrong with it."""
    install = f"run {sys.executable} -m pip install"
    if sys.version_info < (3, 9):  # noqa: UP036
        return None, f"{sys.executable} is too old: Python 3.9 is needed"
    try:
        import IPython
    except ImportError as error:
        if error.name == "IPython":
            return (
                None,
                f"IPython is not installed for {sys.executable}: {install} ipython",
            )
        return None, f"IPython cannot be imported by {sys.executable}: {error}"
    if IPython.version_info < (7, 23):
        return IPython.__version__, (
            f"IPython {IPython.__version__} is too old, 7.23 is needed: "
            f"{install} --upgrade ipython"
        )
    return IPython.__version__, None


def describe() -> dict[str, Any]:
    version, error = find_ipython()
    answer: dict[str, Any] = {
        "executable": sys.executable,
        "prefix": sys.prefix,
        "version": ".".join(str(part) for part in sys.version_info[:3]),
        "mounts": mounts(),
        "ipython": version,
        "banner": None,
        "error": error,
    }
    if error is None:
        sys.path.insert(0, RUNTIME)
        from cellwall_runner import describe as runner

        answer["language_info"] = runner.language_info()
        answer["banner"] = runner.banner()
    return answer


if __name__ == "__main__":
    print(json.dumps(describe()))
