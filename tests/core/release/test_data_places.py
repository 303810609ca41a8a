"""Which places of a release no snapshot would hold."""

from typing import Any

import pytest

from reconciler.core.release import data_places

_SERVICE = "services.app: "


def app(**body: Any) -> dict[str, Any]:
    return {"services": {"app": {"image": "r/app:1", **body}}}


@pytest.mark.parametrize(
    ("body", "declared", "found"),
    [
        pytest.param({"volumes": ["data:/data"]}, (), [], id="named"),
        pytest.param({"volumes": ["data:/data:ro"]}, (), [], id="named and read-only"),
        pytest.param({"volumes": ["/data"]}, (), ["/data"], id="anonymous"),
        pytest.param({"volumes": [{"type": "volume", "target": "/data"}]}, (), ["/data"], id="anonymous, long form"),
        pytest.param({"volumes": [{"target": "/data"}]}, (), ["/data"], id="no type is a volume"),
        pytest.param(
            {"volumes": [{"type": "volume", "source": "data", "target": "/data", "volume": {"subpath": "a"}}]},
            (),
            [],
            id="a subpath of a named volume",
        ),
        pytest.param({"volumes": ["/srv/lab:/data"]}, (), ["/data"], id="bind mount"),
        pytest.param({"volumes": ["/srv/lab:/data:rw,z"]}, (), ["/data"], id="bind mount with options"),
        pytest.param({"volumes": ["/srv/lab:/data:ro"]}, (), [], id="read-only bind mount"),
        pytest.param({"volumes": ["/srv/lab:/data:z,ro"]}, (), [], id="read-only among options"),
        pytest.param(
            {"volumes": [{"type": "bind", "source": "/srv/lab", "target": "/d", "read_only": True}]},
            (),
            [],
            id="read-only bind mount, long form",
        ),
        pytest.param({"volumes": ["/var/run/docker.sock:/var/run/docker.sock"]}, (), [], id="a socket"),
        pytest.param({"volumes": ["/etc/localtime:/etc/localtime"]}, (), [], id="the clock's zone"),
        pytest.param({"volumes": ["/dev/dri:/dev/dri", "/sys/fs:/sys/fs"]}, (), [], id="what is no disk"),
        pytest.param({"volumes": ["/srv/lab:/x:ro,rw"]}, (), ["/x"], id="of both the last one counts"),
        pytest.param({"volumes": ["/proc/1/root/srv:/x"]}, (), ["/x"], id="a way round by way of a process"),
        pytest.param({"tmpfs": 5}, ("/data",), ["/data"], id="what is no path is for the deploy tool to refuse"),
        pytest.param({"volumes": ["/device:/x"]}, (), ["/x"], id="a name that only begins like one"),
        pytest.param({"volumes": [{"type": "tmpfs", "target": "/run"}]}, (), [], id="tmpfs"),
        pytest.param({"volumes": [{"type": "cluster", "source": "g", "target": "/d"}]}, (), ["/d"], id="cluster"),
        pytest.param({}, ("/data",), ["/data"], id="declared by the image"),
        pytest.param({"volumes": ["data:/data/"]}, ("/data",), [], id="declared, and a volume is mounted there"),
        pytest.param({"tmpfs": "/data:size=1m"}, ("/data",), [], id="declared, and a tmpfs is there"),
        pytest.param({"tmpfs": ["/data"]}, ("/data",), [], id="declared, and one of several tmpfs"),
        # The engine makes a volume for the inner path as well: seen on 20.10 and 28.5.
        pytest.param({"volumes": ["data:/data"]}, ("/data/inner",), ["/data/inner"], id="declared below a mount"),
    ],
)
def test_every_place_that_a_snapshot_does_not_hold_is_found(
    body: dict[str, Any], declared: tuple[str, ...], found: list[str]
) -> None:
    assert [one.path for one in data_places.find_unkept(app(**body), (), {"app": declared})] == found


def test_what_is_found_says_where_and_what_helps() -> None:
    anonymous, bind = data_places.find_unkept(app(volumes=["/data", "/srv/lab:/lab"]), ())
    assert str(anonymous).startswith(f"{_SERVICE}/data is an anonymous volume")
    assert str(bind) == f"{_SERVICE}bind mount /srv/lab at /lab is in no snapshot"
    assert (anonymous.ends, bind.ends) == (True, False)


def test_only_what_the_operator_gives_up_is_left_out() -> None:
    doc = app(volumes=["/data", "/srv/lab:/lab", "named:/kept"])
    assert [one.path for one in data_places.find_unkept(doc, ("/lab/",))] == ["/data"]
    assert data_places.find_unkept(doc, ("/lab", "/data")) == ()


def test_an_app_without_named_volumes_keeps_nothing() -> None:
    assert data_places.keeps_nothing(app(volumes=["/data", "/srv/lab:/lab:ro"]))
    assert not data_places.keeps_nothing(app(volumes=[{"type": "volume", "source": "data", "target": "/data"}]))


def test_a_path_may_be_given_up_where_it_has_no_name_though_another_service_names_it() -> None:
    doc = {"services": {"app": {"volumes": ["data:/data"]}, "cache": {"image": "r/cache"}}}
    declared = {"cache": ("/data",)}
    assert [one.where for one in data_places.find_unkept(doc, (), declared)] == ["services.cache"]
    assert data_places.find_unkept(doc, ("/data",), declared) == ()
