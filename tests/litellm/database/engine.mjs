#!/usr/bin/env node
// Prisma's query engine as prisma-client-py starts it: `engine -p PORT`, GraphQL over HTTP.
//
// The engine proper is the WebAssembly build that Prisma publishes on npm; it speaks Prisma's JSON protocol only, so
// each GraphQL query is translated on its way in and out. The native binary would have to be downloaded from a host of
// Prisma's own.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { PrismaPg } from "@prisma/adapter-pg";
import { bindAdapter } from "@prisma/driver-adapter-utils";
import * as bindings from "@prisma/query-engine-wasm/postgresql/query_engine_bg.js";
import { parse } from "graphql";
import pg from "pg";

const require = createRequire(import.meta.url);
const VERSION = "393aa359c9ad4a4bb28630fb5613f9c281cde053";
const ACTION =
  /^(findUnique|findFirst|findMany|createOne|createMany|updateOne|updateMany|deleteOne|deleteMany|upsertOne|aggregate|groupBy)(\w+?)(OrThrow)?$/;

if (process.argv.includes("--version")) {
  console.log(`query-engine ${VERSION}`);
  process.exit(0);
}

const datamodel = readFileSync(process.env.PRISMA_DML_PATH, "utf8");

// Prisma's JSON protocol takes a string in a Json column for the string itself; GraphQL takes it for JSON text.
const JSON_FILTERS = new Set(["equals", "not", "set", "array_contains", "array_starts_with", "array_ends_with"]);
const typed = new Map();
for (const [, model, lines] of datamodel.matchAll(/^model (\w+) \{([^]*?)^\}/gm)) {
  typed.set(model, new Map([...lines.matchAll(/^\s+(\w+)\s+(\w+)/gm)].map(([, name, type]) => [name, type])));
}

function value(node, model, asJson = false) {
  switch (node.kind) {
    case "StringValue":
      return asJson ? { $type: "Json", value: node.value } : node.value;
    case "IntValue":
      return Number.isSafeInteger(Number(node.value)) ? Number(node.value) : { $type: "BigInt", value: node.value };
    case "FloatValue":
      return Number(node.value);
    case "NullValue":
      return null;
    case "ListValue":
      return node.values.map((item) => value(item, model, asJson));
    case "ObjectValue":
      return fields(node.fields, model, asJson);
    default:
      return node.value;
  }
}

function fields(nodes, model, withinJson = false) {
  const types = typed.get(model);
  return Object.fromEntries(
    (nodes ?? []).map((node) => {
      const name = node.name.value;
      const type = types?.get(name);
      const asJson = withinJson ? JSON_FILTERS.has(name) : type === "Json";
      return [name, value(node.value, typed.has(type) ? type : model, asJson)];
    }),
  );
}

const selection = (set, model) =>
  Object.fromEntries(
    (set?.selections ?? []).map((node) => {
      const name = node.name.value;
      if (!node.selectionSet && !node.arguments?.length) return [name, true];
      const inner = typed.get(model)?.get(name) ?? model;
      return [name, { arguments: fields(node.arguments, inner), selection: selection(node.selectionSet, inner) }];
    }),
  );

function translated(graphql) {
  const root = parse(graphql).definitions[0].selectionSet.selections[0];
  const found = ACTION.exec(root.name.value);
  const model = found?.[2];
  const query = { arguments: fields(root.arguments, model), selection: selection(root.selectionSet, model) };
  if (!found) return { action: root.name.value, query };
  return { modelName: model, action: found[1] + (found[3] ?? ""), query };
}

function plain(item) {
  if (Array.isArray(item)) return item.map(plain);
  if (item === null || typeof item !== "object") return item;
  if ("$type" in item) return item.value;
  return Object.fromEntries(Object.entries(item).map(([name, inner]) => [name, plain(inner)]));
}

// GraphQL answers by the alias that the client gave, which is always `result`.
const answered = (answer) =>
  answer.data ? { ...answer, data: { result: plain(Object.values(answer.data)[0]) } } : answer;

// What LiteLLM reads of PostgreSQL's own tables has types that the adapter does not know: name, name[] and void.
const AS_TEXT = new Map([[19, 25], [1003, 1009], [2278, 25]]);
const Result = require("pg/lib/result.js");
const { addFields } = Result.prototype;
Result.prototype.addFields = function (fields) {
  for (const field of fields) field.dataTypeID = AS_TEXT.get(field.dataTypeID) ?? field.dataTypeID;
  return addFields.call(this, fields);
};

async function engine() {
  const wasm = readFileSync(require.resolve("@prisma/query-engine-wasm/postgresql/query_engine_bg.wasm"));
  const { instance } = await WebAssembly.instantiate(wasm, { "./query_engine_bg.js": bindings });
  bindings.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start?.();
  const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });
  const made = new bindings.QueryEngine(
    { datamodel, logLevel: "error", logQueries: false },
    (log) => console.error(log),
    bindAdapter(new PrismaPg(pool)),
  );
  await made.connect("");
  return made;
}

async function answer(made, request, body) {
  const { method, url, headers } = request;
  if (url === "/status") return { status: "ok" };
  if (method !== "POST") return {};
  const step = /^\/transaction\/(\S+)\/(commit|rollback)$/.exec(url);
  if (url === "/transaction/start") return JSON.parse(await made.startTransaction(body, "{}"));
  if (step?.[2] === "commit") return JSON.parse(await made.commitTransaction(step[1], "{}"));
  if (step?.[2] === "rollback") return JSON.parse(await made.rollbackTransaction(step[1], "{}"));
  const asked = JSON.parse(body);
  const within = headers["x-transaction-id"];
  const wanted = asked.batch
    ? { batch: asked.batch.map(({ query }) => translated(query)), transaction: asked.transaction ? {} : undefined }
    : translated(asked.query);
  const got = JSON.parse(await made.query(JSON.stringify(wanted), "{}", within));
  return got.batchResult ? { ...got, batchResult: got.batchResult.map(answered) } : answered(got);
}

const made = await engine();
const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const body = Buffer.concat(parts).toString("utf8");
  let status = 200;
  let text;
  try {
    text = JSON.stringify(await answer(made, request, body));
  } catch (error) {
    status = 500;
    text = JSON.stringify({ errors: [{ error: String(error) }] });
    console.error("engine:", error, body.slice(0, 400));
  }
  response.writeHead(status, { "content-type": "application/json" });
  response.end(text);
});
server.listen(Number(process.argv[process.argv.indexOf("-p") + 1]), "127.0.0.1");
// A proxy that was killed takes its engine along.
const parent = process.ppid;
setInterval(() => process.ppid === parent || process.exit(0), 1000).unref();
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(0));
