"""The shop over HTTP."""

import json

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.views.decorators.http import require_POST

from shop.sagas import place_order
from troth import NotAccepted, TrothError, UnknownTransaction
from troth.integrations.django import troth


def answer(outcome) -> JsonResponse:
    """What became of an order: 201 placed, 409 cancelled and why, 202 somebody looks at it."""
    code = {"confirmed": 201, "cancelled": 409}.get(outcome.state, 202)
    return JsonResponse({"state": outcome.state, "payment": outcome.result, "reason": outcome.reason}, status=code)


def later(error: NotAccepted) -> HttpResponse:
    """Nothing was written: the customer's program asks again."""
    return HttpResponse(status=503, headers={"Retry-After": str(max(1, round(error.retry_after)))})


@require_POST
def place(request: HttpRequest) -> HttpResponse:
    """Place an order and say what became of it."""
    try:
        return answer(place_order.run(**json.loads(request.body)))
    except NotAccepted as error:
        return later(error)


async def place_async(request: HttpRequest) -> HttpResponse:
    """The same in an async view."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    try:
        return answer(await place_order.aio.run(**json.loads(request.body)))
    except NotAccepted as error:
        return later(error)


def status(request: HttpRequest, number: int) -> HttpResponse:
    """How an order stands."""
    try:
        return JsonResponse({"state": troth.get(f"order-{number}").state})
    except UnknownTransaction:
        return HttpResponse(status=404)
    except TrothError as error:
        return JsonResponse({"error": str(error)}, status=500)
