"""The page: the pipeline's data for browsers, once at first and then once a second, and the files that draw it.

Only `components` uses it. It knows monitoring and everything below; nothing that a browser sends changes anything.
"""

__all__ = ["http", "market", "marks", "page_state"]
