"""The bridge to all exchanges that ccxt watches: their trades and order books become venue-neutral frames.

Only `ingest.__main__` uses it, and nothing else imports ccxt, which pins versions of its own: the bridge is a process of
its own in an environment of its own (requirements.txt).
"""

__all__ = ["bridge", "exchange", "frames", "silence"]
