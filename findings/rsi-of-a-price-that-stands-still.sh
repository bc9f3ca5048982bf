#!/usr/bin/env bash
# TA-Lib 0.8.2, ta 0.11.0, technicalindicators 3.1.0: the RSI of a price that stands still is 0, 100 and 100.
#
# Expected: no answer or the middle, 50: without gains and losses the relative strength is 0 / 0, and none of the three
# documents what it makes of that.
# Seen: TA-Lib says 0, the most oversold there is; ta and technicalindicators say 100, the most overbought. Also,
# technicalindicators rounds every RSI to two digits, and one NaN anywhere in the prices turns TA-Lib's RSI into 0 (not
# NaN) from there to the end of the series.
# Why it matters: stablecoins, quiet pairs and halted markets stand still for more than fourteen minutes. A rule "buy below
# 30" buys, or its port to another library sells.
# What to do: ask whether the price moved at all before believing an RSI; treat gaps before computing.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check TA-Lib==0.8.2 ta==0.11.0 pandas==2.3.3
cd "$folder"
npm install --silent --no-audit --no-fund technicalindicators@3.1.0

"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
import pandas as pd
import talib
from ta.momentum import RSIIndicator


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


still = np.full(30, 1.0)
print("TA-Lib", talib.__version__)
expect("TA-Lib", float(talib.RSI(still)[-1]), 0.0)
expect("ta", float(RSIIndicator(pd.Series(still)).rsi().iloc[-1]), 100.0)
moving = 100 + np.sin(np.arange(200.0))
moving[50] = np.nan
expect("TA-Lib after a NaN", sorted(set(talib.RSI(moving)[50:].tolist())), [0.0])
PY
node --input-type=commonjs <<'JS'
const { RSI } = require("technicalindicators");
const last = (values) => RSI.calculate({ period: 14, values }).at(-1);
const seen = [last(Array(30).fill(1)), last(Array.from({ length: 60 }, (_, i) => 1 + (i % 3)))];
console.log("technicalindicators, still and moving:", seen);
if (JSON.stringify(seen) !== "[100,52.89]") {
  console.error("CHANGED: technicalindicators used to say 100 and 52.89");
  process.exit(1);
}
JS
