"""What most runs need, loaded once for all of them (`dagster_project.server`). Nothing here connects anywhere.

What cannot be loaded here is loaded, or complained of, by each run.
"""

import gc
import logging
import signal

# It ends with the code server, which waits for its runs: when both get the signal to stop it must not end first.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
try:
    import dagster_postgres  # noqa: F401
    import psycopg  # noqa: F401

    import dagster_project.definitions  # noqa: F401
    from cryptoviz.gate import engine

    engine.load()
except Exception:
    logging.getLogger(__name__).exception("runs load for themselves what cannot be loaded for all of them")
# Otherwise the first collection of each run would touch, and thereby copy, all of it.
gc.collect()
gc.freeze()
