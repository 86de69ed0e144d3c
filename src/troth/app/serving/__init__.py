"""A service's steps and TCC classes, served over HTTP: the same room behind ASGI and WSGI."""
