"""The logistics service, in Flask: vans that drive to some places and have room for so many parcels."""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection

from flask import Flask, Response, jsonify

from examples.shop.settings import SECRET, database
from troth import Refused, Troth
from troth.integrations.flask import init_app

troth = Troth()
vans = troth.database("logistics", database("logistics"))
app = Flask(__name__)
init_app(app, troth, mount="/troth", secret=SECRET)


# --- ordinary orders


@troth.step(on=vans, role="pivot")  # the point of no return: a parcel that is on its way is not called back
def ship(db: Connection, order_id: str, place: str) -> str:
    """Load a parcel; returns its number."""
    take_room(db, place, "room = room - 1")
    return load(db, order_id, place)


# --- flash sales


@dataclass(frozen=True)
class Place:
    """A place in a van."""

    order_id: str
    place: str


@troth.tcc(on=vans)
class Room:
    """A place in a van that is kept free until it is decided."""

    def try_(self, db: Connection, order_id: str, place: str) -> Place:
        """Allocate it."""
        take_room(db, place, "room = room - 1, kept = kept + 1")
        return Place(order_id, place)

    def confirm(self, db: Connection, hold: Place) -> None:
        """Load the parcel."""
        db.execute("UPDATE vans SET kept = kept - 1 WHERE place = ?", (hold.place,))
        load(db, hold.order_id, hold.place)

    def cancel(self, db: Connection, hold: Place | None) -> None:
        """Somebody else may have it."""
        if hold is not None:
            db.execute("UPDATE vans SET room = room + 1, kept = kept - 1 WHERE place = ?", (hold.place,))


def take_room(db: Connection, place: str, how: str) -> None:
    """Take room in a van.

    :raises Refused: if none drives there.
    """
    if db.execute(f"UPDATE vans SET {how} WHERE place = ? AND room > 0", (place,)).rowcount == 0:
        raise Refused(f"no van drives to the {place}")


def load(db: Connection, order_id: str, place: str) -> str:
    """Write a parcel down; returns its number."""
    parcel = db.execute("INSERT INTO parcels (order_id, place) VALUES (?, ?)", (order_id, place))
    return f"P{parcel.lastrowid:05d}"


@app.get("/vans")
def rooms() -> Response:
    """How much room there is, by place."""
    return jsonify(dict(vans.plain(lambda db: db.execute("SELECT place, room FROM vans").fetchall())))
