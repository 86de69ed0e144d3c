"""An ordering system: a gateway and five services, each with a database of its own. See README.md here."""
