"""Simulated exchanges on loopback: the real protocols over a market that is a pure function of time.

Shipped with the product: the demo runs on them, and so do the tests that must know exactly what was sent.
"""

from __future__ import annotations

from simulators.faults import Kind, Order
from simulators.server import Simulator, running

__all__ = ["Kind", "Order", "Simulator", "running"]
