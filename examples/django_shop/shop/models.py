"""What the shop knows."""

from django.db import models


class Item(models.Model):
    """Something to sell, how much of it is left, and how much of it is held for baskets."""

    sku = models.CharField(max_length=40, primary_key=True)
    price = models.PositiveIntegerField()
    left = models.PositiveIntegerField()
    held = models.PositiveIntegerField(default=0)


class Order(models.Model):
    """One order; ``state`` is ``new``, ``paid`` or ``cancelled``."""

    number = models.PositiveIntegerField(primary_key=True)
    item = models.ForeignKey(Item, on_delete=models.PROTECT)
    quantity = models.PositiveIntegerField()
    state = models.CharField(max_length=10, default="new")


class Payment(models.Model):
    """Money that came in for an order."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT)
    amount = models.PositiveIntegerField()
