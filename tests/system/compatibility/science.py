# SPDX-License-Identifier: MIT
"""Programs that compute: numbers, tables, figures."""

from __future__ import annotations

from tests.system.compatibility.program import Program

PROGRAMS = [
    Program(
        "numpy: linear algebra",
        """
        import numpy as np
        a = np.random.default_rng(7).random((300, 300))
        print(np.allclose(a @ np.linalg.solve(a, np.ones(300)), 1))
        u, s, vt = np.linalg.svd(a)
        print(np.allclose((u * s) @ vt, a))
        q, r = np.linalg.qr(a)
        print(np.allclose(q @ r, a), np.allclose(np.linalg.inv(a) @ a, np.eye(300)))
        print(np.linalg.eigvalsh(a + a.T).shape)
        """,
        """
        True
        True
        True True
        (300,)
        """,
    ),
    Program(
        "numpy: BLAS in many threads",
        """
        from concurrent.futures import ThreadPoolExecutor
        import numpy as np
        a = np.random.default_rng(1).random((400, 400))
        with ThreadPoolExecutor(4) as pool:
            products = list(pool.map(lambda _: a @ a, range(16)))
        print(all(np.allclose(p, products[0]) for p in products))
        """,
        "True",
    ),
    Program(
        "numpy: fft, random numbers, sorting, files",
        """
        import numpy as np
        rng = np.random.default_rng(42)
        x = rng.standard_normal(4096)
        print(np.allclose(np.fft.ifft(np.fft.fft(x)).real, x))
        print(rng.integers(0, 100, 5).tolist())
        np.save("x.npy", np.sort(x))
        np.savez_compressed("x.npz", a=x, b=x[:3])
        y = np.load("x.npy", mmap_mode="r")
        print(bool((np.diff(y) >= 0).all()), sorted(np.load("x.npz").files))
        m = np.memmap("m.dat", dtype="float64", mode="w+", shape=(1000,))
        m[:] = 2; m.flush()
        print(np.fromfile("m.dat").sum())
        """,
        """
        True
        [99, 55, 60, 83, 90]
        True ['a', 'b']
        2000.0
        """,
    ),
    Program(
        "pandas: csv, json, groups, times",
        """
        import pandas as pd
        table = pd.DataFrame(
            {"day": pd.date_range("2024-02-28", periods=4, tz="Europe/Berlin"),
             "kind": list("abab"), "n": [1, 2, 3, 4]})
        table.to_csv("t.csv", index=False)
        back = pd.read_csv("t.csv", parse_dates=["day"])
        print(back.groupby("kind")["n"].sum().to_dict())
        print(table["day"].dt.strftime("%a %d %b").tolist())
        table.to_json("t.json", orient="records")
        print(pd.read_json("t.json")["n"].mean())
        """,
        """
        {'a': 4, 'b': 6}
        ['Wed 28 Feb', 'Thu 29 Feb', 'Fri 01 Mar', 'Sat 02 Mar']
        2.5
        """,
    ),
    Program(
        "pandas: parquet and arrow",
        """
        import pandas as pd, pyarrow as pa, pyarrow.compute as pc
        import pyarrow.parquet as pq
        table = pd.DataFrame({"n": range(100_000), "s": ["x", "y"] * 50_000})
        table.to_parquet("t.parquet")
        print(pd.read_parquet("t.parquet", columns=["n"])["n"].sum())
        print(pq.read_table("t.parquet", memory_map=True).num_rows)
        print(pc.sum(pa.array(range(1000))).as_py())
        """,
        """
        4999950000
        100000
        499500
        """,
        ("import pyarrow",),
    ),
    Program(
        "pandas: plotting",
        """
        import pandas as pd
        axes = pd.Series([1, 4, 9]).plot(title="squares")
        axes.figure.savefig("plot.png")
        print(open("plot.png", "rb").read(8))
        import matplotlib.pyplot as plt
        plt.close("all")
        """,
        r"b'\x89PNG\r\n\x1a\n'",
    ),
    Program(
        "pandas: sqlite",
        """
        import sqlite3, pandas as pd
        with sqlite3.connect("t.db") as db:
            pd.DataFrame({"n": [1, 2, 3]}).to_sql("t", db, index=False)
            print(pd.read_sql("select sum(n) as s from t", db)["s"].item())
        """,
        "6",
    ),
    Program(
        "matplotlib: png, svg, pdf, by several backends",
        """
        import matplotlib, matplotlib.pyplot as plt
        before = matplotlib.get_backend()
        starts = {}
        for backend in ("agg", "svg", "pdf", "ps", "cairo"):
            try:
                plt.switch_backend(backend)
            except ImportError:
                continue  # it wants a package
            for kind in ("png", "svg", "pdf"):
                figure, axes = plt.subplots()
                axes.plot([1, 2, 3])
                axes.set_title(r"$\\alpha^2$ äöü")
                figure.savefig(f"{backend}.{kind}")
                start = open(f"{backend}.{kind}", "rb").read(4)
                starts.setdefault(kind, set()).add(start)
                plt.close(figure)
        plt.switch_backend(before)
        for kind in starts:
            print(kind, starts[kind])
        """,
        r"""
        png {b'\x89PNG'}
        svg {b'<?xm'}
        pdf {b'%PDF'}
        """,
    ),
    Program(
        "matplotlib: an animation, fonts",
        """
        import matplotlib.pyplot as plt
        from matplotlib import animation, font_manager
        figure, axes = plt.subplots()
        line, = axes.plot([0, 1])
        made = animation.FuncAnimation(
            figure, lambda n: line.set_ydata([0, n]), frames=3, blit=False)
        made.save("a.gif", writer="pillow")
        plt.close("all")
        print(open("a.gif", "rb").read(6), len(font_manager.fontManager.ttflist) > 10)
        """,
        "b'GIF89a' True",
    ),
    Program(
        "scipy: optimize, integrate, signal, sparse",
        """
        import numpy as np
        from scipy import integrate, optimize, signal, sparse
        from scipy.sparse import linalg
        best = optimize.minimize(optimize.rosen, [1.3, 0.7, 0.8], method="BFGS").x
        print(np.allclose(best, 1, atol=1e-3))
        print(round(optimize.brentq(lambda x: x**2 - 2, 0, 2), 6))
        print(round(integrate.quad(lambda x: np.exp(-(x**2)), -np.inf, np.inf)[0], 6))
        done = integrate.solve_ivp(lambda t, y: -y, (0, 1), [1.0], rtol=1e-8)
        print(round(float(done.y[0, -1]), 4))
        b, a = signal.butter(4, 0.2)
        print(signal.filtfilt(b, a, np.sin(np.arange(200))).shape)
        matrix = sparse.diags([2.0, -1.0, -1.0], [0, 1, -1], shape=(2000, 2000)).tocsc()
        x = linalg.spsolve(matrix, np.ones(2000))
        print(np.allclose(matrix @ x, 1))
        """,
        """
        True
        1.414214
        1.772454
        0.3679
        (200,)
        True
        """,
        ("import scipy",),
    ),
    Program(
        "scipy: workers, interpolation, statistics, images",
        """
        import numpy as np
        from scipy import fft, interpolate, ndimage, optimize, spatial, stats
        x = np.random.default_rng(3).random((64, 64))
        print(np.allclose(fft.ifft2(fft.fft2(x, workers=2), workers=2).real, x))
        print(float(interpolate.CubicSpline([0, 1, 2], [0, 1, 4])(1.5)))
        print(ndimage.gaussian_filter(x, 2).shape, round(stats.norm.cdf(1.96), 4))
        print(spatial.cKDTree(x).query(x[:5], workers=2)[1].tolist())
        """,
        """
        True
        2.25
        (64, 64) 0.975
        [0, 1, 2, 3, 4]
        """,
        ("import scipy",),
    ),
    Program(
        "scipy: a parallel search in processes",
        """
        from scipy import optimize
        done = optimize.differential_evolution(
            optimize.rosen, [(0, 2)] * 2, seed=1, workers=2, updating="deferred",
            maxiter=40)
        print(done.x.round(2).tolist())
        """,
        "[1.0, 1.0]",
        ("import scipy",),
    ),
    Program(
        "joblib: processes, threads, a cache on disk",
        """
        from math import factorial
        from joblib import Memory, Parallel, delayed
        jobs = [delayed(factorial)(n) for n in range(8)]
        print(Parallel(n_jobs=2)(jobs))
        print(Parallel(n_jobs=2, prefer="threads")(jobs))
        kept = Memory("cache", verbose=0).cache(factorial)
        print(kept(5), kept.check_call_in_cache(5))
        from joblib.externals.loky import get_reusable_executor
        get_reusable_executor().shutdown(wait=True)
        """,
        """
        [1, 1, 2, 6, 24, 120, 720, 5040]
        [1, 1, 2, 6, 24, 120, 720, 5040]
        120 True
        """,
        ("import joblib",),
    ),
    Program(
        "joblib: arrays shared by memory maps",
        """
        import numpy as np
        from joblib import Parallel, delayed
        from joblib.externals.loky import get_reusable_executor
        a = np.ones(1_000_000)
        print(Parallel(n_jobs=2, max_nbytes=1000)(delayed(np.sum)(a) for _ in range(3)))
        get_reusable_executor().shutdown(wait=True)
        """,
        "[np.float64(1000000.0), np.float64(1000000.0), np.float64(1000000.0)]",
        ("import joblib",),
    ),
    Program(
        "sympy: algebra and its printing",
        """
        import sympy
        x = sympy.symbols("x")
        print(sympy.integrate(x * sympy.exp(x), x), sympy.latex(sympy.sqrt(x)))
        print(sympy.lambdify(x, x**2, "numpy")(3))
        """,
        r"""
        (x - 1)*exp(x) \sqrt{x}
        9
        """,
        ("import sympy",),
    ),
    Program(
        "pillow: images",
        """
        from PIL import Image
        image = Image.new("RGB", (64, 64), "red").rotate(45).resize((16, 16))
        for kind in ("png", "jpeg", "webp"):
            image.save(f"i.{kind}")
            print(kind, Image.open(f"i.{kind}").size)
        """,
        """
        png (16, 16)
        jpeg (16, 16)
        webp (16, 16)
        """,
    ),
    Program(
        "tqdm: bars",
        """
        from tqdm.auto import tqdm
        print(sum(tqdm(range(1000), disable=None)))
        """,
        "499500",
    ),
]
