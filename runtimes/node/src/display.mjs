// SPDX-License-Identifier: MIT
// Values as MIME bundles, and `display`, which shows them before a cell has ended.
import { readFileSync } from "node:fs";
import { types } from "node:util";

import { describe } from "./errors.mjs";
import { link, send } from "./link.mjs";
import { current } from "./requests.mjs";

const { Buffer, Object, Promise, String } = globalThis; // user code may replace them

export const DISPLAY = Symbol.for("Jupyter.display");
const INSPECT = { colors: false, depth: 4, maxStringLength: 100_000 };
const MIME = /^[\w+.-]+\/[\w+.-]+$/;
const TABLE_ROWS = 100;

// How image formats begin.
const IMAGES = [
  { mime: "image/png", at: 0, magic: "89504e470d0a1a0a" },
  { mime: "image/jpeg", at: 0, magic: "ffd8ff" },
  { mime: "image/gif", at: 0, magic: "474946383961" },
  { mime: "image/gif", at: 0, magic: "474946383761" },
  { mime: "image/webp", at: 8, magic: "57454250" },
];

const escapeHtml = (text) =>
  String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

const base64 = (data) =>
  Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64");

function imageType(data) {
  return IMAGES.find(
    ({ at, magic }) =>
      Buffer.from(data.subarray(at, at + magic.length / 2)).toString("hex") === magic,
  )?.mime;
}

// A bundle as frames carry it. TypeError: it is none.
function clean(data, metadata = {}) {
  if (data === null || typeof data !== "object" || Array.isArray(data)) {
    throw new TypeError("a MIME bundle must be an object");
  }
  const cleaned = {};
  for (const [mime, value] of Object.entries(data)) {
    if (!MIME.test(mime)) throw new TypeError(`'${mime}' is not a MIME type`);
    if (value === undefined || value === null) continue;
    const isJson = /^application\/(?:.*\+)?json$/.test(mime);
    if (ArrayBuffer.isView(value)) cleaned[mime] = base64(value);
    else if (isJson || typeof value === "string") cleaned[mime] = value;
    else cleaned[mime] = String(value);
  }
  return { data: cleaned, metadata: metadata ?? {} };
}

const text = (value) => describe(value, INSPECT);

function fromDataUrl(url) {
  const found = /^data:([^;,]+)[^,]*;base64,(.*)$/s.exec(url);
  return found ? { [found[1]]: found[2] } : undefined;
}

function vega(value) {
  const found = /^https?:\/\/vega\.github\.io\/schema\/(vega|vega-lite)\/v(\d+)/.exec(
    value.$schema,
  );
  if (!found) return undefined;
  const name = found[1] === "vega" ? "vega" : "vegalite";
  return { [`application/vnd.${name}.v${found[2]}+json`]: value };
}

// An HTML table of ROWS, objects or arrays.
export function tableHtml(rows, shown = rows.slice(0, TABLE_ROWS)) {
  const columns = [...new Set(shown.flatMap((row) => Object.keys(row ?? {})))];
  const cells = (row) =>
    columns.map((name) => `<td>${escapeHtml(cellText(row?.[name]))}</td>`).join("");
  const head = columns.map((name) => `<th>${escapeHtml(name)}</th>`).join("");
  const body = shown.map((row) => `<tr>${cells(row)}</tr>`).join("\n");
  const more = rows.length > shown.length ? `<p>${rows.length} rows</p>` : "";
  return `<table>\n<thead><tr>${head}</tr></thead>\n<tbody>\n${body}\n</tbody>\n</table>${more}`;
}

const cellText = (value) =>
  value === undefined ? "" : typeof value === "string" ? value : text(value);

// What knows how to show itself, each a rule: its bundle, or undefined.
const RULES = [
  (value) => ArrayBuffer.isView(value) && bytesBundle(value),
  (value) => typeof value.toDataURL === "function" && fromDataUrl(value.toDataURL()),
  (value) => typeof value.toSpec === "function" && vega(value.toSpec()),
  (value) => typeof value.$schema === "string" && vega(value),
  (value) => isFrame(value) && frameBundle(value),
  (value) => typeof value.outerHTML === "string" && elementBundle(value.outerHTML),
  (value) =>
    typeof value.toHTML === "function" && {
      "text/html": value.toHTML(),
      "text/plain": text(value),
    },
];

function bytesBundle(value) {
  const isBytes = value instanceof Uint8Array || value instanceof Uint8ClampedArray;
  const mime = isBytes && imageType(value);
  return mime && { [mime]: base64(value), "text/plain": text(value) };
}

function elementBundle(html) {
  const mime = /^\s*<svg\b/i.test(html) ? "image/svg+xml" : "text/html";
  return { [mime]: html, "text/plain": html };
}

// A data frame as polars' for Node: a schema, head and records.
function isFrame(value) {
  return (
    value.schema !== undefined &&
    typeof value.head === "function" &&
    typeof value.toRecords === "function"
  );
}

function frameBundle(value) {
  return {
    "text/html": tableHtml(value.head(50).toRecords()),
    "text/plain": text(value),
  };
}

// The bundle of VALUE, or a promise of it, where a method of the user's makes one.
export function format(value) {
  const isObject = (typeof value === "object" && value !== null) || isFunction(value);
  if (!isObject || types.isProxy(value)) return clean({ "text/plain": text(value) });
  if (typeof value[DISPLAY] === "function") return formatOwn(value, value[DISPLAY]());
  for (const rule of isFunction(value) ? [] : RULES) {
    const data = rule(value);
    if (data) return clean(data);
  }
  return clean({ "text/plain": text(value) });
}

const isFunction = (value) => typeof value === "function";

function formatOwn(value, made) {
  if (typeof made?.then === "function") {
    return Promise.resolve(made).then((settled) => formatOwn(value, settled));
  }
  if (made === null || typeof made !== "object") {
    return clean({ "text/plain": text(value) });
  }
  return clean(made);
}

// The bundle of a cell's value; undefined: there is nothing to show.
export async function formatResult(value) {
  if (value === undefined || value instanceof Handle) return undefined;
  return format(value);
}

// A display that can be shown anew.
class Handle {
  constructor(id) {
    this.display_id = id;
  }

  update(value, options) {
    return display(value, { ...options, display_id: this.display_id, update: true });
  }
}

let handles = 0;

// Shows VALUE. `display_id` (true: one is made) gives a handle whose `update` shows
// another value in its place; `update`: this is such an update; `raw`: VALUE is a bundle.
export function display(value, options = {}) {
  const request = current();
  let { display_id: id } = options;
  if (id === true) id = `node-${process.pid}-${++handles}`;
  if (options.update && id === undefined) {
    throw new TypeError("an update needs a display_id");
  }
  const type = options.update ? link.UPDATE_DISPLAY_DATA : link.DISPLAY_DATA;
  const publish = ({ data, metadata }) => {
    const content = {
      data,
      metadata: { ...metadata, ...options.metadata },
      transient: {},
    };
    if (id !== undefined) content.transient.display_id = String(id);
    send(type, request, content);
    return id === undefined ? undefined : new Handle(id);
  };
  const bundle = options.raw ? clean(value) : format(value);
  if (typeof bundle.then !== "function") return publish(bundle);
  const shown = bundle.then(publish);
  request.displays.add(shown);
  return shown;
}

// display.html`...`, display.html("..."), and so on for the other types.
function shower(mime, change = (given) => given) {
  return (given, ...more) => {
    if (given?.raw) return display({ [mime]: String.raw(given, ...more) }, { raw: true });
    return display({ [mime]: change(given) }, { ...more[0], raw: true });
  };
}

const bytesOf = (given) => (typeof given === "string" ? readFileSync(given) : given);

function showImage(given, options) {
  const data = bytesOf(given);
  const mime = imageType(data);
  if (mime) return display({ [mime]: data }, { ...options, raw: true });
  const source = Buffer.from(data).toString();
  if (/<svg\b/i.test(source)) return display.svg(source, options);
  throw new TypeError("neither PNG, JPEG, GIF, WebP nor SVG");
}

Object.assign(display, {
  html: shower("text/html"),
  svg: shower("image/svg+xml"),
  latex: shower("text/latex"),
  markdown: shower("text/markdown"),
  md: shower("text/markdown"),
  text: shower("text/plain"),
  json: shower("application/json"),
  javascript: shower("application/javascript"),
  png: shower("image/png", bytesOf),
  jpeg: shower("image/jpeg", bytesOf),
  image: showImage,
  table: (rows, options) => {
    const list = Array.isArray(rows) ? rows : [...rows];
    const bundle = { "text/html": tableHtml(list), "text/plain": text(list) };
    return display(bundle, { ...options, raw: true });
  },
  mime: (bundle, options) => display(bundle, { ...options, raw: true }),
  update: (id, value, options) =>
    display(value, { ...options, display_id: id, update: true }),
  clear: (options = {}) => {
    const wait = options === true || options.wait === true;
    send(link.CLEAR_OUTPUT, current(), { wait });
  },
});
