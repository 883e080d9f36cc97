"""The service's own description: what clients are made from."""

from __future__ import annotations

from fastapi.testclient import TestClient


def test_the_description_names_every_route_and_its_refusals(client: TestClient) -> None:
    """Routes, the multipart field, both ways to send a token, and the one shape of every refusal."""
    told = client.get("/openapi.json").json()
    assert set(told["paths"]) == {"/blur/", "/reports", "/reports/{report_id}", "/health", "/metrics"}
    blur = told["paths"]["/blur/"]["post"]
    assert blur["requestBody"]["content"]["multipart/form-data"]["schema"]["required"] == ["picture"]
    assert {"200", "401", "413", "422", "429", "503"} <= set(blur["responses"])
    for refusal in ("413", "422", "503"):
        schema = blur["responses"][refusal]["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/Problem"}
    assert {scheme["scheme"] for scheme in told["components"]["securitySchemes"].values()} == {"bearer", "basic"}
    assert client.get("/docs").status_code == 404  # it would load scripts from elsewhere
