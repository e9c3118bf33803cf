# SPDX-License-Identifier: MIT
"""Programs that are programs: compilers, git, pip, Node, text tools."""

from __future__ import annotations

from tests.system.compatibility.program import Program

# A wheel made by hand, as no network brings one.
WHEEL = """
import base64, hashlib, zipfile
files = {{
    "{name}/__init__.py": "def answer(): return 42\\n",
    "{name}-1.0.dist-info/METADATA":
        "Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n",
    "{name}-1.0.dist-info/WHEEL":
        "Wheel-Version: 1.0\\nGenerator: hand\\n"
        "Root-Is-Purelib: true\\nTag: py3-none-any\\n",
}}
record = "".join(
    "%s,sha256=%s,%d\\n" % (path, base64.urlsafe_b64encode(
        hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode(), len(text))
    for path, text in files.items())
with zipfile.ZipFile("{name}-1.0-py3-none-any.whl", "w") as z:
    for path, text in files.items(): z.writestr(path, text)
    z.writestr("{name}-1.0.dist-info/RECORD",
               record + "{name}-1.0.dist-info/RECORD,,\\n")
"""

PROGRAMS = [
    Program(
        "gcc: a program, threads, sanitizers' absence",
        """
        %%bash
        set -e
        cat > p.c <<'END'
        #include <pthread.h>
        #include <stdio.h>
        static void *run(void *arg) { puts("in a thread"); return arg; }
        int main(void) {
            pthread_t t;
            if (pthread_create(&t, NULL, run, NULL) != 0) return 1;
            pthread_join(t, NULL);
            return 0;
        }
        END
        gcc -O2 -Wall -pthread -o p p.c && ./p
        gcc -S -o - -x c - <<< 'int f(void) { return 42; }' | grep -c '42'
        """,
        """
        in a thread
        1
        """,
        ("gcc",),
    ),
    Program(
        "gcc: an extension of Python, loaded into the cell",
        """
        import subprocess, sysconfig, importlib, sys
        open("fast.c", "w").write('''
        #define PY_SSIZE_T_CLEAN
        #include <Python.h>
        static PyObject *twice(PyObject *self, PyObject *arg)
        { return PyNumber_Add(arg, arg); }
        static PyMethodDef methods[] = {{"twice", twice, METH_O, ""}, {0}};
        static struct PyModuleDef module =
        {PyModuleDef_HEAD_INIT, "fast", 0, -1, methods};
        PyMODINIT_FUNC PyInit_fast(void) { return PyModule_Create(&module); }
        ''')
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", "fast" + suffix, "fast.c",
                        "-I" + sysconfig.get_path("include")], check=True)
        importlib.invalidate_caches()
        import fast
        print(fast.twice(21), fast.twice("ab"))
        """,
        "42 abab",
        ("gcc", "Python.h"),
    ),
    Program(
        "gcc: a library by ctypes",
        """
        import ctypes, os, subprocess
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", "libadd.so", "-x", "c", "-"],
                       input=b"int add(int a, int b) { return a + b; }", check=True)
        print(ctypes.CDLL(os.path.abspath("libadd.so")).add(40, 2))
        """,
        "42",
        ("gcc",),
    ),
    Program(
        "g++: exceptions, the standard library, processes of OpenMP",
        """
        %%bash
        cat > p.cc <<'END'
        #include <iostream>
        #include <stdexcept>
        #include <vector>
        int main() {
            int sum = 0;
        #pragma omp parallel for reduction(+ : sum)
            for (int i = 0; i < 100; i++) sum += i;
            try { std::vector<int>().at(1); }
            catch (const std::out_of_range &) { std::cout << sum << " caught\\n"; }
        }
        END
        g++ -fopenmp -o p p.cc && ./p
        """,
        "4950 caught",
        ("g++",),
    ),
    Program(
        "make: rules, several at once",
        """
        %%bash
        printf 'all: a b\\na b:\\n\\techo made $@ > $@\\n' > Makefile
        make -s -j2 && cat a b
        """,
        """
        made a
        made b
        """,
        ("make",),
    ),
    Program(
        "git: init, commit, log, diff, branch, clone",
        """
        %%bash
        set -e
        git init -q -b main repo && cd repo
        git config user.name T; git config user.email t@example.org
        echo one > f && git add f && git commit -q -m first
        echo two >> f && git diff --stat | tail -n 1
        git commit -q -a -m second && git checkout -q -b side HEAD~1
        echo other > g && git add g && git commit -q -m third
        git checkout -q main && git merge -q --no-edit side && git log --oneline | wc -l
        cd .. && git clone -q repo copy && cat copy/f copy/g
        git -C copy gc -q && git -C copy fsck 2>&1 | wc -l
        git -C copy status --porcelain | wc -l
        """,
        """
         1 file changed, 1 insertion(+)
        4
        one
        two
        other
        0
        0
        """,
        ("git",),
    ),
    Program(
        "pip: a local wheel into the context",
        WHEEL.format(name="compatone")
        + """
import importlib
get_ipython().run_line_magic(
    "pip", "install -q --no-index --no-deps ./compatone-1.0-py3-none-any.whl")
importlib.invalidate_caches()
import compatone
print(compatone.answer())
""",
        """
        Note: you may need to restart the kernel to use updated packages.
        42
        """,
        outside=None,
        why="it would be installed there",
    ),
    Program(
        "pip: a local wheel into a folder of the workspace",
        WHEEL.format(name="compattwo")
        + """
import subprocess, sys
subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps",
                "--target", "libs", "compattwo-1.0-py3-none-any.whl"], check=True)
sys.path.insert(0, "libs")
import compattwo
print(compattwo.answer())
sys.path.remove("libs")
""",
        "42",
    ),
    Program(
        "venv: made in the workspace, with a package in it",
        WHEEL.format(name="compatthree")
        + """
import os, subprocess, sys
base = os.path.realpath(sys.executable)
subprocess.run([base, "-m", "venv", "--without-pip", "env"], check=True)
print(subprocess.check_output(["env/bin/python", "-c",
    "import sys; print(sys.prefix.endswith('/env'))"], text=True).strip())
folder = subprocess.check_output(["env/bin/python", "-c",
    "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True).strip()
env = {k: v for k, v in os.environ.items() if k != "PIP_TARGET"}
subprocess.run([sys.executable, "-m", "pip", "--python", "env/bin/python", "install",
    "-q", "--no-index", "--no-deps", "compatthree-1.0-py3-none-any.whl"], env=env)
print(subprocess.check_output(["env/bin/python", "-c",
    "import compatthree; print(compatthree.answer())"], text=True).strip())
""",
        """
        True
        42
        """,
    ),
    Program(
        "node: -e, streams, crypto, zlib, timers",
        """
        %%bash
        node -e '
        const z = require("zlib"), c = require("crypto");
        console.log(z.gunzipSync(z.gzipSync("packed")).toString());
        console.log(c.createHash("sha256").update("x").digest("hex").slice(0, 8));
        setTimeout(() => console.log("later"), 1);
        require("fs").promises.readFile("/etc/passwd")
            .then(b => console.log(String(b.length > 0)));
        ' | sort
        """,
        """
        2d711642
        later
        packed
        true
        """,
        ("node",),
    ),
    Program(
        "node: worker threads, shared memory, atomics",
        """
        %%bash
        cat > w.cjs <<'END'
        const { Worker, isMainThread, workerData } = require("worker_threads");
        if (isMainThread) {
            const shared = new SharedArrayBuffer(4), view = new Int32Array(shared);
            let left = 3;
            for (let i = 0; i < 3; i++)
                new Worker(__filename, { workerData: shared }).on("exit", () => {
                    if (--left === 0) console.log(Atomics.load(view, 0));
                });
        } else {
            const view = new Int32Array(workerData);
            for (let i = 0; i < 1000; i++) Atomics.add(view, 0, 1);
        }
        END
        node w.cjs
        """,
        "3000",
        ("node",),
    ),
    Program(
        "node: WebAssembly, and code made at run time",
        """
        %%bash
        node -e '
        const code = new Uint8Array([0,97,115,109,1,0,0,0,1,7,1,96,2,127,127,1,127,3,2,1,
            0,7,7,1,3,97,100,100,0,0,10,9,1,7,0,32,0,32,1,106,11]);
        WebAssembly.instantiate(code)
            .then(m => console.log(m.instance.exports.add(40, 2)));
        const f = new Function("n", "for (var i = 0, s = 0; i < n;) s += i++; return s");
        for (let i = 0; i < 100; i++) f(1000);
        console.log(f(1e6));
        ' | sort -n
        """,
        """
        42
        499999500000
        """,
        ("node",),
    ),
    Program(
        "node: child processes, fs.watch, a server on localhost",
        """
        %%bash
        cat > n.cjs <<'END'
        const { execFileSync, fork, spawn } = require("child_process");
        const fs = require("fs"), http = require("http");
        if (process.argv[2] === "child") {
            process.send({ from: "child" });
            process.disconnect();
            return;
        }
        console.log(execFileSync("echo", ["by a child"]).toString().trim());
        fork(__filename, ["child"]).on("message", m => {
            console.log(m.from);
            const watcher = fs.watch(".", () => {
                watcher.close();
                console.log("changed");
                const server = http.createServer((q, r) => r.end("served"));
                server.listen(0, "127.0.0.1", async () => {
                    const r = await fetch(`http://127.0.0.1:${server.address().port}/`);
                    console.log(await r.text());
                    server.closeAllConnections(); server.close();
                });
            });
            fs.writeFileSync("new.txt", "x");
        });
        END
        node n.cjs
        """,
        """
        by a child
        child
        changed
        served
        """,
        ("node",),
    ),
    Program(
        "node: processors and memory are told",
        """
        import os, subprocess
        said = subprocess.check_output(["node", "-p",
            "[os.availableParallelism(), os.cpus().length > 0, os.totalmem() > 0]"
            ".join(' ')"], text=True).split()
        print(int(said[0]) <= len(os.sched_getaffinity(0)), said[1:])
        """,
        "True ['true', 'true']",
        ("node",),
    ),
    Program(
        "npm: its version, a package of a local folder",
        """
        %%bash
        npm --version | grep -c .
        mkdir -p lib app && echo '{"name":"lib","version":"1.0.0"}' > lib/package.json
        echo 'module.exports = 42' > lib/index.js
        echo '{"name":"app","version":"1.0.0"}' > app/package.json
        cd app && npm install --offline --silent ../lib && node -p 'require("lib")'
        """,
        """
        1
        42
        """,
        ("npm",),
    ),
    Program(
        "R: sums, a plot, a package",
        """
        %%bash
        Rscript -e 'cat(sum(1:10), "\\n"); pdf("p.pdf"); plot(1:3); invisible(dev.off())'
        head -c 4 p.pdf
        """,
        """
        55
        %PDF
        """,
        ("Rscript",),
    ),
    Program(
        "perl: expressions, files, a child",
        """
        %%perl
        use strict; use warnings;
        my %count; $count{$_}++ for split //, "hello";
        print join(",", map { "$_$count{$_}" } sort keys %count), "\\n";
        open(my $p, "-|", "echo piped") or die; print <$p>; close $p;
        print "sum ", eval { my $s = 0; $s += $_ for 1 .. 10; $s }, "\\n";
        """,
        """
        e1,h1,l2,o1
        piped
        sum 55
        """,
        ("perl",),
    ),
    Program(
        "awk, sed, sort, uniq, xargs, find, grep, diff, cut, tr",
        """
        %%bash
        printf 'b 2\\na 1\\nb 3\\n' > t
        awk '{ s[$1] += $2 } END { for (k in s) print k, s[k] }' t | sort
        sed -E 's/([a-z]) ([0-9])/\\2\\1/' t | sort -r | head -n 1
        cut -d' ' -f1 t | sort | uniq -c | tr -s ' '
        seq 6 | xargs -P 2 -n 3 echo | wc -l
        find . -name t -size -2k | xargs grep -c b
        cp t u; echo x >> u; diff t u
        LC_ALL=C sort -S 1M --parallel=2 -n -k2 t | tail -n 1
        """,
        """
        a 1
        b 5
        3b
         1 a
         2 b
        2
        2
        3a4
        > x
        b 3
        """,
        ("awk", "sed", "find", "diff"),
    ),
    Program(
        "ps, top, df, free, uptime: what they tell is one's own",
        """
        import subprocess
        said = subprocess.check_output(["ps", "-e", "-o", "comm="], text=True)
        print("ps" in said.split(), len(said.splitlines()) < 20)
        print(subprocess.run(["df", "."], capture_output=True).returncode,
              subprocess.run(["free"], capture_output=True).returncode,
              subprocess.run(["top", "-b", "-n1"], capture_output=True).returncode)
        """,
        """
        True True
        0 0 0
        """,
        ("ps", "free", "top"),
        outside=None,
        why="it counts processes",
    ),
    Program(
        "nohup, timeout, nice, env, tee, mktemp",
        """
        %%bash
        timeout 0.05 sleep 100; echo $?
        nice -n 5 nice
        nohup echo kept 2>/dev/null
        echo x | tee a | cat - a
        f=$(mktemp) && echo made > "$f" && cat "$f" && rm "$f"
        """,
        """
        124
        5
        kept
        x
        x
        made
        """,
    ),
    Program(
        "python: -m unittest, -m http.server's help, -m pdb, compileall",
        """
        %%bash
        echo 'import unittest
        class T(unittest.TestCase):
            def test(self): self.assertEqual(1, 1)' > test_t.py
        python -m unittest -q 2>&1 | tail -n 1
        python -m compileall -q . && ls __pycache__ | wc -l
        echo 'x = 1
        print(x)' > p.py
        printf 'b 2\\nc\\np x\\nq\\n' | python -m pdb p.py 2>&1 | grep -c '(Pdb) 1'
        """,
        """
        OK
        1
        1
        """,
    ),
]
