// SPDX-License-Identifier: MIT
// The two languages: how code becomes JavaScript, and what Jupyter is told. Used by the
// probe too, outside of a runner.

async function prepareTypescript(code, name) {
  const { compile } = await import("./typescript.mjs");
  return compile(code, name);
}

const codemirror = { name: "javascript" };

export const LANGUAGES = {
  javascript: {
    name: "javascript",
    title: "JavaScript",
    packages: ["acorn"],
    mimetype: "text/javascript",
    file_extension: ".js",
    codemirror_mode: codemirror,
    prepare: (text) => ({ text }),
  },
  typescript: {
    name: "typescript",
    title: "TypeScript",
    packages: ["acorn", "amaro"],
    mimetype: "text/typescript",
    file_extension: ".ts",
    codemirror_mode: { ...codemirror, typescript: true },
    prepare: prepareTypescript,
  },
};

// Jupyter's language_info.
export function languageInfo(language) {
  return {
    name: language.name,
    version: process.versions.node,
    mimetype: language.mimetype,
    file_extension: language.file_extension,
    pygments_lexer: language.name,
    codemirror_mode: language.codemirror_mode,
    nbconvert_exporter: "script",
  };
}
