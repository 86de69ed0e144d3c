"""Run by ``manage.py shell``: uses the database, forks, uses it on both sides."""

import os

from django.db import connection
from shop.sagas import place_order, reserve

place_order(1, "apple", 1)
connection.ensure_connection()
own = connection.connection
child = os.fork()
if child == 0:
    code = 1
    try:
        reserve("apple", 2)
        assert place_order.run(2, "apple", 4).state == "confirmed"
        connection.ensure_connection()
        assert connection.connection is not own
        code = 0
    finally:
        os._exit(code)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
place_order(3, "apple", 8)
assert connection.connection is own
print("both went on")
