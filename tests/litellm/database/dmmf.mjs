// Prints what `prisma generate` would tell a generator about the schema named on the command line.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
const require = createRequire(import.meta.url);
const { get_dmmf } = require("@prisma/prisma-schema-wasm");
const prismaSchema = readFileSync(process.argv[2], "utf8");
process.stdout.write(get_dmmf(JSON.stringify({ prismaSchema, noColor: true })));
