#!/usr/bin/env bash
# PostgreSQL 18.7 (PGlite 0.5.17 runs it in Node): CHECK (price > 0) accepts NaN and infinity.
#
# Expected: a price that is no number fails a check for a positive price, as every comparison with NaN is false elsewhere.
# Seen: numeric holds NaN to be equal to itself and greater than every number, so that price > 0 and price >= 0 are true. A
# column of numeric(38, 18) refuses infinity but takes NaN. One such row makes sum, avg and max of the table NaN.
# The documentation of numeric says how NaN is compared; what that does to a check is left to the reader.
# Why it matters: the check is written to keep bad prices out, and COPY of a CSV file with "NaN" passes it.
# What to do: CHECK (price > 0 AND price < 'Infinity'): NaN is greater than infinity, so both are refused.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund @electric-sql/pglite@0.5.17

cat >finding.mjs <<'JS'
import { PGlite } from "@electric-sql/pglite";

function expect(what, seen, known) {
  console.log(`${what}: ${JSON.stringify(seen)}`);
  if (JSON.stringify(seen) !== JSON.stringify(known)) {
    console.error(`CHANGED: ${what} used to be ${JSON.stringify(known)}`);
    process.exit(1);
  }
}

const database = new PGlite();
const column = async (query) => (await database.query(query)).rows.map((row) => Object.values(row)[0]);
console.log((await column("SELECT version()"))[0].slice(0, 32));
await database.exec("CREATE TABLE trades (price numeric CHECK (price > 0), volume numeric(38, 18) CHECK (volume > 0))");
await database.exec("INSERT INTO trades VALUES (1, 1), ('NaN', 'NaN'), ('Infinity', 1)");
expect("prices stored", await column("SELECT price::text FROM trades ORDER BY price"), ["1", "Infinity", "NaN"]);
expect("sum of volumes", await column("SELECT sum(volume)::text FROM trades"), ["NaN"]);
expect("infinity as numeric(38, 18)", await database.exec("SELECT 'Infinity'::numeric(38, 18)").catch((e) => e.message),
  "numeric field overflow");

await database.exec("CREATE TABLE guarded (price numeric CHECK (price > 0 AND price < 'Infinity'))");
for (const bad of ["NaN", "Infinity"]) {
  const answer = await database.query("INSERT INTO guarded VALUES ($1)", [bad]).catch((e) => e.code);
  expect(`${bad} where price < 'Infinity'`, answer, "23514");
}
JS
node finding.mjs
