# SPDX-License-Identifier: MIT
"""A question about data, answered with a table and a chart.

Needs pandas and matplotlib in the Python that the server runs. The chart is written to
the folder that is named on the command line, or to the current one.
"""

import sys
from pathlib import Path

import cellwall

CSV = """city,month,visitors
Lisbon,1,210
Lisbon,7,655
Oslo,1,98
Oslo,7,340
Lisbon,12,305
Oslo,12,120
"""

CODE = """
import pandas as pd
import matplotlib.pyplot as plt

visits = pd.read_csv("visits.csv")
table = visits.pivot(index="month", columns="city", values="visitors")
table.plot.bar(title="Visitors a month")
plt.show()
table
"""

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

with cellwall.connect() as client, client.create_context() as context:
    context.files.write("visits.csv", CSV)
    execution = context.run_code(CODE).raise_for_error()
    for result in execution.results:
        print(f"a result with {', '.join(result.formats())}")
        if result.png is not None:
            chart = result.save(folder / "visitors.png")
            print(f"wrote {chart.name}, {chart.stat().st_size} bytes")
    print(execution.text)
