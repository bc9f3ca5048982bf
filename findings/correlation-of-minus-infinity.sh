#!/usr/bin/env bash
# pandas 2.3.3 (NumPy 2.4.6): the rolling correlation with a price that stands still is minus infinity.
#
# Expected: the correlation with a constant is not defined, NaN; no correlation is below -1.
# Seen: Series.corr gives NaN, rolling(5).corr gives -inf for the same five rows: the mean of the products is off by a
# rounding error, the deviation is exactly 0, and their quotient is infinite. With 100.0 in place of 1.1 both are NaN.
# Also, the deviation of three times 0.1 is 1.7e-17, not 0, so that the z-score of a price that never moved is -0.82.
# Why it matters: stablecoins and thin pairs stand still for whole windows. dropna() keeps infinity, every mean over it
# is infinite, and a threshold of "below -0.9" sees a signal.
# What to do: clip, and refuse windows whose highest and lowest price are equal before dividing.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pandas==2.3.3 numpy==2.4.6

"$folder/venv/bin/python" - <<'PY'
import sys
import warnings

import numpy as np
import pandas as pd


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


warnings.simplefilter("ignore")
print("pandas", pd.__version__, "numpy", np.__version__)
moving = pd.Series([1.0, 2.0, 4.0, 8.0, 3.0])
still = pd.Series([1.1] * 5)
expect("corr", str(still.corr(moving)), "nan")
expect("rolling corr", str(still.rolling(5).corr(moving).iloc[-1]), "-inf")
expect("rolling corr, 100.0", str(pd.Series([100.0] * 5).rolling(5).corr(moving).iloc[-1]), "nan")
tenth = pd.Series([0.1] * 3)
expect("z-scores of 0.1", ((tenth - tenth.mean()) / tenth.std()).round(2).tolist(), [-0.82] * 3)
PY
