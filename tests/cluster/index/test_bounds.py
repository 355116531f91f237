"""Names that no query could ask for must not come out in records either: a PTR target of bad labels breaks a reply."""

import pytest

from clusterdns.cluster.decoding import from_data
from clusterdns.cluster.objects import EndpointSlice, Kind, ObjectError, Service


@pytest.mark.parametrize("size", [63, 64, 255, 300])
def test_a_service_is_named_by_one_label(size: int) -> None:
    data = {"metadata": {"namespace": "prod", "name": "x" * size}, "spec": {"clusterIP": "10.0.0.1"}}
    kind: Kind = Service
    if size <= 63:
        assert from_data(kind, data).object.name == "x" * size
    else:
        with pytest.raises(ObjectError, match=f"name of {size} bytes"):
            from_data(kind, data)


@pytest.mark.parametrize("size", [0, 63, 64, 300])
def test_a_slice_of_an_impossible_service_is_ignored(size: int) -> None:
    labels = {"kubernetes.io/service-name": "x" * size}
    data = {
        "metadata": {"namespace": "prod", "name": "s", "labels": labels},
        "endpoints": [{"addresses": ["10.0.0.1"]}],
    }
    decoded = from_data(EndpointSlice, data)
    assert isinstance(decoded.object, EndpointSlice)
    assert decoded.object.service == ("x" * size if size <= 63 else "")
    assert len(decoded.warnings) == (size > 63)
