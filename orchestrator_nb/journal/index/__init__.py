"""The index over the journals of a store: SQLite, brought up to date by whoever reads history."""
