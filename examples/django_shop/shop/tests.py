"""Tests of the shop: sagas work in every kind of Django test, without any set-up."""

import threading

from django.db import connection, transaction
from django.test import TestCase, TransactionTestCase

from shop.models import Item, Order, Payment
from shop.sagas import Hold, charge, place_order, reserve
from troth import Cancelled, DefinitionError
from troth.integrations.django import troth

JSON = "application/json"


def shelf(left: int = 10) -> None:
    """Apples, ten coins each."""
    Item.objects.create(sku="apple", price=10, left=left)


class PlaceOrder(TestCase):
    """In a `TestCase` steps use the test's own connection, and the test's end rolls everything back."""

    def setUp(self) -> None:
        shelf(100)

    def test_an_order_is_placed(self) -> None:
        """Every step has run, in the test's own transaction."""
        payment = place_order(1, "apple", 2)
        self.assertEqual(Item.objects.get().left, 98)
        self.assertEqual(Order.objects.get().state, "paid")
        self.assertEqual(Payment.objects.get(pk=payment).amount, 20)
        self.assertEqual(troth.get("order-1").state, "confirmed")

    def test_a_refused_order_leaves_nothing_reserved(self) -> None:
        """The bank says no; what was reserved is back."""
        with self.assertRaisesMessage(Cancelled, "more than your credit"):
            place_order(1, "apple", 60)
        self.assertEqual((Item.objects.get().left, Order.objects.get().state), (100, "cancelled"))

    def test_the_log_of_each_test_is_its_own(self) -> None:
        """The same number as in the tests above is a new order here."""
        with self.assertRaises(Cancelled):
            place_order(1, "pear", 1)
        self.assertEqual([view.gid for view in troth.find()], ["order-1"])

    def test_what_is_started_has_ended_when_start_returns(self) -> None:
        """Steps can only use the test's connection while the test waits."""
        handle = place_order.start(1, "apple", 1)
        self.assertEqual(Order.objects.get().state, "paid")
        self.assertEqual(handle.result(), Payment.objects.get().pk)

    def test_a_saga_begun_in_a_block_is_refused_and_the_error_says_what_to_write(self) -> None:
        """The block's own writes are not there for it yet."""
        with transaction.atomic(), self.assertRaisesMessage(DefinitionError, "troth.on_commit(place_order, …)"):
            place_order(1, "apple", 1)

    def test_a_saga_starts_when_the_block_has_committed(self) -> None:
        """`on_commit` is what such a block writes."""
        with self.captureOnCommitCallbacks(execute=True), transaction.atomic():
            troth.on_commit(place_order, 1, "apple", 1)
            self.assertFalse(Order.objects.exists())
        self.assertEqual(Order.objects.get().state, "paid")

    def test_a_step_called_by_itself_joins_the_block_around_it(self) -> None:
        """Outside any saga it is an ordinary call, undone with its block."""
        with self.assertRaises(KeyError), transaction.atomic():
            reserve("apple", 3)
            self.assertEqual(Item.objects.get().left, 97)
            raise KeyError
        self.assertEqual(Item.objects.get().left, 100)

    def test_the_view(self) -> None:
        """201 for an order that is placed, 409 for one that is not, and the reason."""
        body = {"number": 1, "sku": "apple", "quantity": 1}
        self.assertEqual(self.client.post("/orders/", body, JSON).status_code, 201)
        self.assertEqual(self.client.get("/orders/1/").json(), {"state": "confirmed"})
        again = self.client.post("/orders/", {**body, "number": 2, "quantity": 999}, JSON)
        self.assertEqual((again.status_code, again.json()["detail"]), (409, "apple is sold out"))
        self.assertEqual(self.client.get("/orders/3/").status_code, 404)

    def test_a_basket_is_taken_whole_or_not_at_all(self) -> None:
        """TCC: all of it is held before any of it is sold."""
        Item.objects.create(sku="pear", price=20, left=1)
        self.assertEqual(self.client.post("/baskets/1/", {"apple": 2, "pear": 1}, JSON).status_code, 201)
        self.assertEqual(self.client.post("/baskets/2/", {"apple": 2, "pear": 1}, JSON).status_code, 409)
        found = {item.sku: (item.left, item.held) for item in Item.objects.all()}
        self.assertEqual(found, {"apple": (98, 0), "pear": (0, 0)})
        holds = troth.run_tcc("basket-3", [Hold.branch("apple", 5), Hold.branch("apple", 3)])
        self.assertEqual(holds.result, [["apple", 5], ["apple", 3]])
        self.assertEqual(troth.start_tcc("basket-4", [Hold.branch("pear", 1)]).wait().state, "cancelled")
        with self.assertRaisesMessage(DefinitionError, "inside transaction.atomic()"), transaction.atomic():
            troth.transaction("basket-5")

    def test_other_services_call_its_steps(self) -> None:
        """The barrier stands before them: the same call twice has one effect."""
        self.assertIn("shop.sagas.reserve", self.client.get("/troth/").content.decode())
        call = "/troth/steps/shop.sagas.reserve?gid=theirs-1&branch_id=0/reserve%231&op=action&trans_type=saga"
        head = {"Idempotency-Key": f"{'ab' * 16}/0/reserve#1/action", "Troth-Begun": "1", "Troth-Low-Water": "0", "Troth-Log": "x"}
        for _ in range(2):
            answer = self.client.post(call, {"sku": "apple", "quantity": 4}, JSON, headers=head)
            self.assertEqual((answer.status_code, answer.json()), (200, None))
        self.assertEqual(Item.objects.get().left, 96)

    async def test_the_async_view(self) -> None:
        """Its sync steps run in threads, on the test's connection all the same."""
        body = {"number": 1, "sku": "apple", "quantity": 1}
        response = await self.async_client.post("/orders/async/", body, JSON)
        self.assertEqual(response.status_code, 201)
        self.assertEqual((await Order.objects.aget()).state, "paid")
        await reserve.aio("apple", 2)
        async with troth.transaction("basket-1") as tx:
            await tx(Hold).try_.aio("apple", 2)
        self.assertEqual((await troth.aio.run_tcc("basket-2", [Hold.branch("apple", 5)])).state, "confirmed")
        self.assertEqual((await troth.aio.start(place_order, 2, "apple", 1)).gid, "order-2")
        self.assertEqual((await Item.objects.aget()).left, 89)


class Setup(TestCase):
    """`setUpTestData` is in the class's transaction."""

    @classmethod
    def setUpTestData(cls) -> None:
        """An order for all tests of the class."""
        shelf()
        place_order(7, "apple", 1)

    def test_what_it_ordered_is_there(self) -> None:
        """The data are there; the log begins anew with each test."""
        self.assertEqual(Order.objects.get().state, "paid")

    def test_in_each_test(self) -> None:
        """Rolled back to what the class began with."""
        place_order(8, "apple", 1)
        self.assertEqual(Item.objects.get().left, 8)


class Real(TransactionTestCase):
    """In a `TransactionTestCase` everything is real: commits, and threads of their own."""

    def setUp(self) -> None:
        shelf()

    def test_an_order_is_placed(self) -> None:
        """As in production."""
        self.assertTrue(place_order(1, "apple", 2))
        self.assertEqual(place_order.start(2, "apple", 1).wait().state, "confirmed")
        self.assertEqual(Item.objects.get().left, 7)
        self.assertFalse(connection.in_atomic_block)

    def test_the_log_of_each_test_is_its_own(self) -> None:
        """The same number is a new order here."""
        self.assertTrue(place_order(1, "apple", 2))
        self.assertEqual(Item.objects.get().left, 8)

    def test_customers_in_a_hurry(self) -> None:
        """Several threads at once: every apple is sold once."""
        states = []

        def buy(number: int) -> None:
            states.append(place_order.run(number, "apple", 3).state)
            connection.close()

        threads = [threading.Thread(target=buy, args=(number,)) for number in range(1, 6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(states), ["cancelled"] * 2 + ["confirmed"] * 3)
        self.assertEqual(Item.objects.get().left, 1)

    def test_a_function_of_on_commit_runs_after_a_steps_own_commit(self) -> None:
        """And one that fails changes nothing."""
        heard = []

        def fail() -> None:
            heard.append(connection.in_atomic_block)
            raise ValueError("too late")

        @troth.step(on="default", name="noisy", role="pivot")
        def noisy(db) -> int:
            transaction.on_commit(fail)
            return 3

        def make_noise() -> int:
            return noisy()

        with self.assertLogs("troth.adapters.databases.django_session"):
            value = troth.saga(make_noise, name="make-noise").run()
        self.assertEqual((value.state, value.result, heard), ("confirmed", 3, [False]))

    def test_a_step_of_a_saga_is_no_part_of_a_block_in_its_function(self) -> None:
        """It says so at once."""

        def confused() -> None:
            with transaction.atomic():
                charge(1, 1)

        with self.assertRaisesMessage(Cancelled, "is called inside transaction.atomic()"):
            troth.saga(confused, name="confused")()
