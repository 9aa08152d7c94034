"""Celery's configuration, for workers, ingest and Flower alike. Celery loads it by name."""

from typing import Any

from kombu.serialization import register

from tasks.clients.redis_client import sentinel_options
from tasks.clients.redis_tls import tls_options
from tasks.protocol import celery_codec
from tasks.settings import load
from tasks.settings.redis_url import RedisAddress

register(
    celery_codec.NAME,
    celery_codec.encode,
    celery_codec.decode,
    content_type=celery_codec.CONTENT_TYPE,
    content_encoding=celery_codec.CONTENT_ENCODING,
)
_settings = load()
_broker, _results = RedisAddress.parse(_settings.broker), RedisAddress.parse(_settings.results)
#: Nothing hangs: a broker that does not answer within 5 s is unavailable.
_socket = {
    "socket_timeout": 5,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 5,
}


def _sentinels(address: RedisAddress) -> dict[str, Any]:
    """Return what is read where `address` names Sentinels, and nowhere else."""
    return {"master_name": _settings.redis_sentinel_master, "sentinel_kwargs": sentinel_options(_settings, address)}


broker_url = _broker.for_celery()
broker_use_ssl = tls_options(_settings, _broker) or None
broker_transport_options = {
    **_socket,
    **_sentinels(_broker),
    "global_keyprefix": _settings.celery_prefix,
    "queue_order_strategy": "tasks.clients.queue_order:LiveFirst",
    # One Redis list a queue, instead of four for priorities that nobody uses.
    "priority_steps": [0],
    # No list of what is not acknowledged: it takes two round trips a task, and nothing here relies on it.
    "ack_emulation": False,
}
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
# Redis out of memory or read-only must not end the worker.
broker_channel_error_retry = True

result_backend = _results.for_celery()
# By the scheme of the URL.
override_backends = {
    "redis": "tasks.worker.result_backend:OneTripRedis",
    "rediss": "tasks.worker.result_backend:OneTripRedis",
    "sentinel": "tasks.worker.result_backend:OneTripSentinel",
}
redis_backend_use_ssl = tls_options(_settings, _results) or None
result_backend_transport_options = {
    **_sentinels(_results),
    "global_keyprefix": _settings.celery_prefix,
    # What can't be stored at once is not stored: a worker's next batch waits meanwhile, and only Flower reads results.
    "retry_policy": {"max_retries": 0},
}
redis_socket_timeout = 1
redis_socket_connect_timeout = 1
# A socket of this machine has none, and redis-py does not take the word there.
redis_socket_keepalive = not _results.is_socket
redis_backend_health_check_interval = 5
result_expires = 3600
result_serializer = "json"

task_serializer = celery_codec.NAME
accept_content = [celery_codec.NAME, "json"]
# A task that dies with its worker is sent again by ingest, which knows better than the queue whether it is needed.
task_acks_late = False
task_default_queue = "celery"
task_track_started = False

# A worker takes no more tasks than it has free processes: what it held back, another one could run at once.
worker_disable_prefetch = True
worker_prefetch_multiplier = 1
worker_hijack_root_logger = False
worker_redirect_stdouts = False
worker_cancel_long_running_tasks_on_connection_loss = False
# By name: whoever starts no worker does not load it.
worker_consumer = "tasks.worker.consumer:WorkerConsumer"
