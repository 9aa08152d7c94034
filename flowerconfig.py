"""Flower's configuration; `celery -A tasks flower` loads it by name from the current directory."""

from tasks.ops import flower_queues, flower_server, flower_shutdown

#: The page has no password unless one is set (--basic_auth, FLOWER_BASIC_AUTH): so it is for this machine only, unless
#: told otherwise. Either way another site can neither send anything through a browser nor read it.
address = "127.0.0.1"
#: What is in each batch and what it came to, beside the id that names lane, epoch and position.
tasks_columns = "uuid,state,args,result,received,runtime,worker"
#: Workers come and go: forget those that have been offline for ten minutes.
purge_offline_workers = 600

flower_queues.install()
flower_server.install()
flower_shutdown.install()
