// SPDX-License-Identifier: MIT
// `require` and `import` of cells: as in a file of the working directory.
import { readFileSync } from "node:fs";
import Module from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

import { sheltered } from "./requests.mjs";

export const IMPORT = "$impt_"; // as long as `import`, so that columns stay

let place; // { directory, module, load }

// A module whose file would be in the working directory; its imports resolve from there.
function here() {
  const directory = process.cwd();
  if (place?.directory !== directory) {
    const filename = path.join(directory, "[cell].cjs");
    const module = new Module(filename);
    module.filename = filename;
    module.paths = Module._nodeModulePaths(directory);
    module._compile(
      "module.exports = [(name, options) => import(name, options), require];",
      filename,
    );
    const [load, require] = module.exports;
    place = { directory, module, load, require };
    module.exports = {};
  }
  return place;
}

function missing(name, exported) {
  return new SyntaxError(
    `The requested module '${name}' does not provide an export named '${exported}'`,
  );
}

// What `import(name, options)` of a cell is. WANTED: the names that an import statement
// needs. A JSON module needs no attribute.
async function load(name, options, wanted = []) {
  let attributes = options?.with ?? options?.assert;
  const specifier = typeof name === "string" ? name : `${name}`;
  if (attributes === undefined && /^[^?#]*\.json$/.test(specifier)) {
    attributes = { type: "json" };
  }
  if (attributes?.type === "json" && /^\.{0,2}\//.test(specifier)) {
    return jsonModule(path.resolve(process.cwd(), specifier), specifier, wanted);
  }
  const given = attributes && { with: attributes, assert: attributes };
  const namespace = await (given
    ? here().load(specifier, given)
    : here().load(specifier));
  for (const exported of wanted) {
    if (!(exported in namespace)) throw missing(specifier, exported);
  }
  return namespace;
}

// Read by ourselves: the form of the attribute differs between versions of Node, and a
// file of data that has changed is to be read again.
function jsonModule(file, specifier, wanted) {
  const exported = wanted.find((one) => one !== "default");
  if (exported !== undefined) throw missing(specifier, exported);
  const value = JSON.parse(readFileSync(file, "utf8"));
  return Object.freeze(
    Object.assign(Object.create(null, { [Symbol.toStringTag]: { value: "Module" } }), {
      default: value,
    }),
  );
}

const meta = {
  get dirname() {
    return process.cwd();
  },
  get filename() {
    return path.join(process.cwd(), "[cell]");
  },
  get url() {
    return pathToFileURL(this.filename).href;
  },
  resolve(name) {
    if (Module.isBuiltin(name)) return name.startsWith("node:") ? name : `node:${name}`;
    if (/^\.{0,2}\//.test(name)) return new URL(name, this.url).href;
    if (URL.canParse?.(name)) return name;
    return pathToFileURL(here().require.resolve(name)).href;
  },
};

// What a stopped cell was just loading is loaded anew when it is needed.
export function forgetHalves() {
  for (const [file, module] of Object.entries(Module._cache)) {
    if (module?.loaded === false) delete Module._cache[file];
  }
}

// Node's own modules load each other, and once.
function loadOwnWhole() {
  const original = Module._load;
  Module._load = (name, ...rest) =>
    Module.isBuiltin(name) ? sheltered(original, name, ...rest) : original(name, ...rest);
  const { fetch } = globalThis;
  globalThis.fetch = { fetch: (...given) => sheltered(fetch, ...given) }.fetch;
}

export function install() {
  loadOwnWhole();
  load.meta = meta;
  Object.defineProperty(globalThis, IMPORT, { value: load });
  const names = { require: () => here().require, module: () => here().module };
  for (const [name, get] of Object.entries(names)) {
    Object.defineProperty(globalThis, name, {
      configurable: true,
      get,
      set: (value) =>
        Object.defineProperty(globalThis, name, {
          value,
          configurable: true,
          writable: true,
          enumerable: true,
        }),
    });
  }
}
