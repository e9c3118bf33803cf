// SPDX-License-Identifier: MIT
// Environment variables for one run, from the metadata of its request.

// Sets the variables that METADATA asks for; returns what puts these names back.
export function give(metadata) {
  const wanted = metadata.cellwall?.env ?? {};
  if (typeof wanted !== "object" || Array.isArray(wanted)) {
    throw new TypeError("metadata.cellwall.env must be an object of strings");
  }
  for (const [name, value] of Object.entries(wanted)) {
    if (typeof value !== "string") {
      throw new TypeError(`the variable '${name}' is no string`);
    }
    if (name === "" || /[=\0]/.test(name) || value.includes("\0")) {
      throw new TypeError(`the variable '${name}' cannot be set`);
    }
  }
  const before = Object.keys(wanted).map((name) => [name, process.env[name]]);
  Object.assign(process.env, wanted);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
}
