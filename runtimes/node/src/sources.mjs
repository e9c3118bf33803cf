// SPDX-License-Identifier: MIT
// The text of the last cells, by the names that they have in stacks.
const KEPT = 1000;

const sources = new Map();

// ORIGINAL, if the code was compiled: (line, column) of the code -> [line, column] of
// TEXT, all counted from 1.
export function keep(name, text, original) {
  sources.delete(name);
  sources.set(name, { lines: text.split("\n"), text, original });
  if (sources.size > KEPT) sources.delete(sources.keys().next().value);
}

export const sourceOf = (name) => sources.get(name);

// The latest first.
export const allSources = () => [...sources.values()].reverse();
