#!/usr/bin/env bash
# lightweight-charts 5.2.1: precision: 8 alone shows the price 0.07421 as 0.07000000.
#
# Expected: eight digits after the point show 0.07421000; minMove alone is said to be a step, not a number of digits.
# Seen: the label is first rounded to minMove, whose default of 0.01 stays in force, and then padded with zeros. minMove
# alone is enough: it sets the digits too. A number of milliseconds is taken for a time without a word, though the unit is
# seconds, and an error about times names them "[object Object]".
# Why it matters: coins below a cent are shown as zero with eight digits, which looks exact.
# What to do: set minMove to the pair's tick (1e-8) and leave precision out; divide milliseconds by 1000.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund lightweight-charts@5.2.1 jsdom@29.1.1

cat >finding.mjs <<'JS'
import { JSDOM } from "jsdom";

function expect(what, seen, known) {
  console.log(`${what}: ${JSON.stringify(seen)}`);
  if (JSON.stringify(seen) !== JSON.stringify(known)) {
    console.error(`CHANGED: ${what} used to be ${JSON.stringify(known)}`);
    process.exit(1);
  }
}

// The chart wants a page; no drawing is needed to ask how it writes a price.
const { window } = new JSDOM('<div id="chart"></div>');
window.matchMedia = () => ({ matches: false, addEventListener() {}, removeEventListener() {}, addListener() {} });
window.HTMLCanvasElement.prototype.getContext = () => null;
window.requestAnimationFrame = () => 0;
for (const name of ["window", "document", "location", "HTMLElement", "Node"]) globalThis[name] = window[name];
globalThis.getComputedStyle = window.getComputedStyle;
Object.defineProperty(globalThis, "navigator", { value: window.navigator, configurable: true });
const { createChart, LineSeries, version } = await import("lightweight-charts");
console.log("lightweight-charts", version());

const chart = createChart(document.getElementById("chart"), { width: 400, height: 300 });
const label = (format) =>
  chart.addSeries(LineSeries, { priceFormat: { type: "price", ...format } }).priceFormatter().format(0.07421);
expect("precision 8", label({ precision: 8 }), "0.07000000");
expect("precision 8, minMove 1e-8", label({ precision: 8, minMove: 1e-8 }), "0.07421000");
expect("minMove 1e-8", label({ minMove: 1e-8 }), "0.07421000");

const series = chart.addSeries(LineSeries);
series.setData([{ time: 1795996800123, value: 1 }]);
expect("milliseconds are taken", series.data().length, 1);
let refusal = "";
try { series.update({ time: 1795996800, value: 2 }); } catch (error) { refusal = error.message; }
expect("error", refusal, "Cannot update oldest data, last time=[object Object], new time=[object Object]");
process.exit(0);
JS
node finding.mjs
