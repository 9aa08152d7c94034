"""History: files of market data, read as the lines of a recording, in time order.

The backtest, the replay and the commands use it. It knows frames, and no server.
"""

__all__ = ["recordings"]
