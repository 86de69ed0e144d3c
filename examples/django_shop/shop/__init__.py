"""The app: orders, by a saga over steps on Django's own database."""
