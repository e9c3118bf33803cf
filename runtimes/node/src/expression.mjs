// SPDX-License-Identifier: MIT
// Finds the expression around a cursor, in code that may not be complete.

const WORD = /[\p{ID_Continue}$#]/u;

// The index in UTF-16 of Jupyter's CURSOR, which counts code points, and back.
export const toIndex = (code, cursor) =>
  cursor === undefined ? code.length : [...code].slice(0, cursor).join("").length;
export const toCursor = (code, index) => [...code.slice(0, index)].length;

export function wordStart(code, end) {
  let at = end;
  while (at > 0 && WORD.test(code[at - 1])) at--;
  return at;
}

export function wordEnd(code, start) {
  let at = start;
  while (at < code.length && WORD.test(code[at])) at++;
  return at;
}

const OPENERS = { ")": "(", "]": "[", "}": "{" };

// The start of the bracketed group that ends before END; -1: there is none.
function groupStart(code, end) {
  const closers = [];
  for (let at = end - 1; at >= 0; at--) {
    const one = code[at];
    if (OPENERS[one]) closers.push(OPENERS[one]);
    else if (one === closers.at(-1)) closers.pop();
    else if (/["'`]/.test(one)) at = code.lastIndexOf(one, at - 1);
    if (at < 0) return -1;
    if (closers.length === 0) return at;
  }
  return -1;
}

// The start of the chain of members (a.b[0].c().d) that ends before END.
export function chainStart(code, end) {
  let at = end;
  for (;;) {
    const before = at;
    while (at > 0 && (code[at - 1] === ")" || code[at - 1] === "]")) {
      const start = groupStart(code, at);
      if (start < 0) return before;
      at = start;
    }
    if (at > 0 && /["'`]/.test(code[at - 1]) && at === before) {
      const start = code.lastIndexOf(code[at - 1], at - 2);
      return start < 0 ? before : start;
    }
    const word = wordStart(code, at);
    if (word === at && at === before) return at;
    at = word;
    if (code.slice(at - 2, at) === "?.") at -= 2;
    else if (code[at - 1] === ".") at -= 1;
    else return at;
  }
}
