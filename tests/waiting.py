"""Waiting for a condition with a deadline: no test sleeps."""

from compose.local.waiting import wait_for

__all__ = ["wait_for"]
