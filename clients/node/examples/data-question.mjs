// SPDX-License-Identifier: MIT
// A question about data: a table and a chart come back as results. The server's Python
// needs pandas and matplotlib. The chart is written to the folder that is named, or to
// the present one.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Client } from "cellwall";

const csv = `month,region,sales
1,north,120
1,south,80
2,north,135
2,south,95
3,north,150
3,south,140
`;

const code = `
import matplotlib.pyplot as plt
import pandas as pd

sales = pd.read_csv("sales.csv").pivot(index="month", columns="region", values="sales")
sales.plot(kind="bar", title="Sales")
plt.show()
sales
`;

const client = await Client.connect();
try {
  const context = await client.createContext();
  await context.files.write("sales.csv", csv);
  const execution = (await context.runCode(code, { timeoutMs: 0 })).orThrow();
  for (const result of execution.results) {
    console.log(`a result as ${result.formats().join(", ")}`);
    if (result.png === undefined) continue;
    const path = join(process.argv[2] ?? ".", "sales.png");
    await writeFile(path, result.asBytes("png"));
    console.log(`the chart is in ${path}`);
  }
  console.log(execution.text);
  await context.delete();
} finally {
  await client.close();
}
