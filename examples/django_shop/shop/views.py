"""The shop over HTTP. What a transaction raises is answered by the middleware: 409 and the reason, 503 and when to ask again."""

import json

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.views.decorators.http import require_POST

from shop.sagas import Hold, place_order
from troth.integrations.django import troth


@require_POST
def place(request: HttpRequest) -> HttpResponse:
    """Place an order; the same number again is the same order."""
    return JsonResponse({"payment": place_order(**json.loads(request.body))}, status=201)


async def place_async(request: HttpRequest) -> HttpResponse:
    """The same in an async view."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    return JsonResponse({"payment": await place_order.aio(**json.loads(request.body))}, status=201)


@require_POST
def basket(request: HttpRequest, number: int) -> HttpResponse:
    """Take several things off the shelf, or none: by TCC."""
    wanted = json.loads(request.body)
    with troth.transaction(f"basket-{number}") as tx:
        for sku, quantity in wanted.items():
            tx(Hold).try_(sku, quantity)
    return JsonResponse({"taken": wanted}, status=201)


def status(request: HttpRequest, number: int) -> HttpResponse:
    """How an order stands."""
    return JsonResponse({"state": troth.get(f"order-{number}").state})
