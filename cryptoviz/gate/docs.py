"""A stored validation as Great Expectations' own Data Docs render it.

    document -> ExpectationSuiteValidationResult -> GX's page renderer and view -> HTML

No context is made and no configuration is read or written. GX's templates escape nothing and load style and scripts
from elsewhere: what is returned is for `cryptoviz.reports.documents`, which keeps the sections and cleans them.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping
from typing import Any


class DocumentError(Exception):
    """Great Expectations cannot be loaded, or cannot read or render a document."""


def renderer() -> Callable[[Mapping[str, Any]], str]:
    """A function from documents to whole pages of HTML.

    Importing Great Expectations takes seconds: make one, use it often.

    Raises:
        DocumentError: it cannot be loaded. The function raises it for a document that GX cannot read or render.
    """
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    try:
        from great_expectations.core.expectation_validation_result import (  # noqa: PLC0415 - seconds and 285 MB
            expectationSuiteValidationResultSchema,
        )
        from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer  # noqa: PLC0415
        from great_expectations.render.view.view import DefaultJinjaPageView  # noqa: PLC0415
    except ImportError as error:
        raise DocumentError(f"Great Expectations cannot be loaded: {error}") from error

    pages: Any = ValidationResultsPageRenderer(run_info_at_end=True)
    view: Any = DefaultJinjaPageView()

    def render(document: Mapping[str, Any]) -> str:
        try:
            validation = expectationSuiteValidationResultSchema.load(copy.deepcopy(dict(document)))
            return str(view.render(pages.render(validation)))
        except Exception as error:
            raise DocumentError(f"{type(error).__name__}: {error}") from error

    return render
