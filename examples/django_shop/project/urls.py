"""Where the views are."""

from django.urls import path
from shop import views

urlpatterns = [
    path("orders/", views.place),
    path("orders/async/", views.place_async),
    path("orders/<int:number>/", views.status),
]
