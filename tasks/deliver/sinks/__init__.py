"""What takes a signal to a receiver, one module for each kind: a webhook, Telegram, Discord, NATS, standard output.

Only the command line chooses one; `tasks.deliver.delivery` uses it.
"""

from tasks.deliver.sinks.sink import Sink

__all__ = ["Sink", "discord", "http_client", "nats", "sink", "stdout", "telegram", "webhook"]
