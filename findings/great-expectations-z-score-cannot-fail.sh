#!/usr/bin/env bash
# great-expectations 1.24.1: the usual z-score check cannot fail on ten rows or fewer, whatever they hold.
#
# Expected: a price of a billion among nine prices of 1 is an outlier: its z-score is above the threshold of 3.
# Seen: ExpectColumnValueZScoresToBeLessThan passes. The outlier is part of the mean and the deviation it is measured by, so
# that with n rows no z-score exceeds (n - 1) / sqrt(n), which is 2.85 for ten. Also, double_sided=False looks upwards only:
# a fall to minus a billion passes with any number of rows. The documentation says the second, not the first.
# Why it matters: batches of the last minutes of a quiet pair, or of a small news feed, have ten rows. The check is green.
# What to do: compare with a median or a limit that the batch does not define, and set double_sided=True.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check great-expectations==1.24.1 pandas==2.3.3

"$folder/venv/bin/python" - <<'PY'
import sys
import warnings

warnings.simplefilter("ignore")

import great_expectations as gx
import pandas as pd


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


context = gx.get_context(mode="ephemeral")
context.variables.progress_bars = {"globally": False, "metric_calculations": False}
asset = context.data_sources.add_pandas("prices").add_dataframe_asset("prices")
whole = asset.add_batch_definition_whole_dataframe("whole")


def passes(prices: list[float], double_sided: bool = True) -> bool:
    """Whether these prices pass a threshold of three deviations."""
    batch = whole.get_batch({"dataframe": pd.DataFrame({"price": prices})})
    kind = gx.expectations.ExpectColumnValueZScoresToBeLessThan
    return bool(batch.validate(kind(column="price", threshold=3, double_sided=double_sided)).success)


print("great-expectations", gx.__version__)
expect("a billion among ten passes", passes([1.0] * 9 + [1e9]), True)
expect("a billion among twenty passes", passes([1.0] * 19 + [1e9]), False)
expect("minus a billion among twenty passes, one side", passes([1.0] * 19 + [-1e9], double_sided=False), True)
PY
