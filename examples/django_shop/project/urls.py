"""Where the views are."""

from django.urls import include, path
from shop import views

urlpatterns = [
    path("orders/", views.place),
    path("orders/async/", views.place_async),
    path("orders/<int:number>/", views.status),
    path("baskets/<int:number>/", views.basket),
    path("troth/", include("troth.integrations.django.urls")),
]
