#!/usr/bin/env bash
# avsc 5.7.9: the schema it infers from a price is a 32-bit float.
#
# Expected: Type.forValue({ price: 67000.12 }) infers a double: JavaScript has no other number.
# Seen: it infers "float". The value it reads back is 67000.1171875, so a price is wrong from the seventh digit on, and what
# another reader sees depends on the first message the schema was made of: a price of 67000 makes the field an "int".
# Why it matters: a schema registered from a sample message is the contract of a Kafka topic from then on.
# What to do: write the schema by hand, with a decimal for prices, or replace "float" after inference.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund avsc@5.7.9

cat >finding.mjs <<'JS'
import avsc from "avsc";
import { createRequire } from "node:module";

function expect(what, seen, known) {
  console.log(`${what}: ${JSON.stringify(seen)}`);
  if (JSON.stringify(seen) !== JSON.stringify(known)) {
    console.error(`CHANGED: ${what} used to be ${JSON.stringify(known)}`);
    process.exit(1);
  }
}

console.log("avsc", createRequire(import.meta.url)("avsc/package.json").version);
const inferred = avsc.Type.forValue({ price: 67000.12 });
expect("type of the price", inferred.schema().fields[0].type, "float");
expect("read back", inferred.fromBuffer(inferred.toBuffer({ price: 67000.12 })).price, 67000.1171875);
expect("type of a round price", avsc.Type.forValue({ price: 67000 }).schema().fields[0].type, "int");
JS
node finding.mjs
