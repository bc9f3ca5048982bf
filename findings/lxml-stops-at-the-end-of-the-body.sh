#!/usr/bin/env bash
# lxml 6.1.3 (libxml2 2.14.6): what follows </body> or </html> is gone from the page.
#
# Expected: the HTML standard says what to do with it: it belongs to the body, as browsers and html5lib have it.
# Seen: document_fromstring ends at </html>: paragraphs after it are in no tree, no tail and no error log.
# fragment_fromstring also loses what follows </body>.
# Why it matters: sites that glue a header, an article and a footer together close the page too early. The browser
# shows the whole article; what is stored, scored and searched is its first half, and the text that is left reads well.
# What to do: take html5lib for such pages, or drop </body> and </html> before parsing.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check lxml==6.1.3 html5lib==1.1

"$folder/venv/bin/python" - <<'PY'
import sys

import html5lib
import lxml.etree
import lxml.html


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


page = "<html><body><p>First.</p></body></html><p>Second.</p> Third."
part = "<p>First.</p></body><p>Second.</p>"
print("lxml", lxml.etree.__version__, "libxml2", ".".join(map(str, lxml.etree.LIBXML_VERSION)))
expect("html5lib", "".join(html5lib.parse(page).itertext()), "First.Second. Third.")
document = lxml.html.document_fromstring(page)
expect("lxml", document.text_content(), "First.")
expect("its tail", document.tail, None)
expect("a fragment", lxml.html.fragment_fromstring(part, create_parent="div").text_content(), "First.")
expect("the same as a page", lxml.html.document_fromstring(part).text_content(), "First.Second.")
parser = lxml.etree.HTMLParser()
lxml.etree.fromstring(page, parser)
expect("errors", len(parser.error_log), 0)
PY
