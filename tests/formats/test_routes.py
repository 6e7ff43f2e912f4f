"""The route table: one order, one name each, and a description that the standard's own validator accepts."""

from __future__ import annotations

import re

from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Match, Router
from starlette.routing import Route as Address

from tulle.formats.openapi import openapi
from tulle.formats.routes import PRODUCT_ROUTES, RESERVED_DOMAINS, RESERVED_PORTS, ROUTES


def test_the_description_is_valid_openapi() -> None:
    document = openapi(ROUTES, "m-1", "http://127.0.0.1:8765")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    assert sum(len(methods) for methods in document["paths"].values()) == len(ROUTES)


def test_names_and_addresses_are_unique() -> None:
    assert len({route.name for route in ROUTES}) == len(ROUTES)
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)


def test_path_parameters_are_those_of_the_path() -> None:
    for route in ROUTES:
        declared = {parameter.name for parameter in route.parameters if parameter.where == "path"}
        assert declared == set(re.findall(r"{(\w+)}", route.path)), route.path


def test_no_route_swallows_a_later_one() -> None:
    addresses = [Address(route.path, lambda _: None, methods=[route.method], name=route.name) for route in ROUTES]
    router = Router(addresses)
    for route in ROUTES:
        path = route.path.format(domain="weather", product="hourly", port="rows@1", id="7", code="E201")
        scope = {"type": "http", "path": path, "method": route.method, "headers": []}
        first = next(a for a in router.routes if a.matches(scope)[0] is Match.FULL)
        assert isinstance(first, Address)
        assert first.name == route.name


def test_words_of_the_mesh_are_no_names() -> None:
    assert {"search", "lineage", "mesh", "names", "explain", "in"} <= RESERVED_DOMAINS
    assert {"sql", "clock", "announcements", "input", "discovery", "observability", "control"} == RESERVED_PORTS
    assert all(route.path.startswith("/{domain}/{product}") for route in PRODUCT_ROUTES)
