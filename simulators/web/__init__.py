"""The simulated web on loopback: six news sites and three market APIs that speak as the real ones do, and misbehave.

Shipped with the product: the demo reads it instead of the internet, and so do the tests of everything that polls.
"""

from __future__ import annotations

from simulators.web.faults import Kind, Order, Spell
from simulators.web.server import WebSimulator, running

__all__ = ["Kind", "Order", "Spell", "WebSimulator", "running"]
