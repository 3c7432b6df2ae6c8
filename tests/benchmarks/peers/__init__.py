"""The servers that are measured: one module each, with ``serve(sock, tls)``, which serves until the process ends.

Each echoes messages at ``/``; those that speak HTTP answer ``GET /http`` with "hello". No compression unless
``DEFLATE`` is in the environment, no access log, defaults otherwise.
"""
