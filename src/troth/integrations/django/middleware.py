"""``MIDDLEWARE = [..., "troth.integrations.django.middleware.Problems"]``: troth's errors become answers."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

from troth.integrations.problems import problem_of
from troth.ports.errors import TrothError


class Problems(MiddlewareMixin):
    """A view that ends in an error of troth's is answered as `troth.integrations.problems` says, sync and async views alike."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """A problem document (RFC 9457); None, and Django's own way, for what is a fault of the program."""
        answer = problem_of(exception) if isinstance(exception, TrothError) else None
        return None if answer is None else HttpResponse(answer.body, status=answer.status, headers=answer.headers)
