"""The page: what a browser is told of the pipeline, once at first and then once a second, and the files that draw it.

It knows monitoring and everything below; nothing that a browser sends changes anything.
"""

__all__ = ["http", "market", "page_state"]
