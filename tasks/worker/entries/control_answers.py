"""Answers to control commands: they go into a queue of answers that is bound for who asks, and nowhere else.

Celery answers where the message says. Who may only send commands could have workers write into any queue.
"""

import re
from collections.abc import Callable
from typing import Any

#: Made of the id of who asks.
_NAME = re.compile(r"[\w-]{1,64}", re.ASCII)


def restrict(mailbox: Any, on_refused: Callable[[], object]) -> None:
    """Have a mailbox of kombu's answer so. `on_refused` is called for each answer that was to go elsewhere.

    An answer whose queue is gone by now is dropped, as Celery drops it.
    """
    publish, exchange_name = mailbox._publish_reply, mailbox.reply_exchange.name  # noqa: SLF001 nothing public does

    def publish_reply(reply: Any, exchange: Any, routing_key: Any, ticket: Any, channel: Any, **options: Any) -> None:
        if exchange != exchange_name or not (isinstance(routing_key, str) and _NAME.fullmatch(routing_key)):
            on_refused()
            return
        queue = f"{routing_key}.{exchange_name}"
        # Others may write to the table too. To the queue itself, by its name.
        if any(bound[-1] == queue for bound in channel.get_table(exchange)):
            publish(reply, "", queue, ticket, channel=channel, **options)

    mailbox._publish_reply = publish_reply  # noqa: SLF001
