// SPDX-License-Identifier: MIT
import { local } from "cellwall";

const client = await local(); // a server of our own; Client.connect() takes a running one
const execution = await client.runCode("import math; math.factorial(30)");
console.log(execution.text);
await client.close();
