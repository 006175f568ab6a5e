"""How a 401 is answered: the conversation alone, no sockets."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from minidock.errors import RegistryError
from minidock.image.registry.auth import (
    NOBODY,
    Authority,
    Challenge,
    Conversation,
    Credentials,
    Reply,
    Request,
    challenges,
    repository_scope,
)

BOB = Credentials("bob", "secret")
PULL = [repository_scope("team/app", "pull")]
GET = Request("GET", "https://registry.test/v2/team/app/manifests/1")
BEARER = 'Bearer realm="https://auth.test/token",service="registry.test",scope="repository:team/app:pull"'


def unauthorized(header: str) -> Reply:
    return Reply(401, {"www-authenticate": header})


def granted(**answer: object) -> Reply:
    return Reply(200, {}, json.dumps(answer).encode)


def talk(conversation: Conversation, *replies: Reply) -> list[Request]:
    """What is sent when these replies come; the conversation must end with the last of them."""
    sent = [next(conversation)]
    for reply in replies[:-1]:
        sent.append(conversation.send(reply))
    with pytest.raises(StopIteration):
        conversation.send(replies[-1])
    return sent


def authorizations(sent: list[Request]) -> list[str]:
    return [request.headers.get("Authorization", "") for request in sent]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('Basic realm="here"', [Challenge("basic", {"realm": "here"})]),
        ("Basic", [Challenge("basic", {})]),
        ('bearer REALM="r", service=s', [Challenge("bearer", {"realm": "r", "service": "s"})]),
        ('Bearer realm="a,b",scope="x:y:pull,push"', [Challenge("bearer", {"realm": "a,b", "scope": "x:y:pull,push"})]),
        (r'Basic realm="say \"hi\""', [Challenge("basic", {"realm": 'say "hi"'})]),
        ('Negotiate, Basic realm="x"', [Challenge("negotiate", {}), Challenge("basic", {"realm": "x"})]),
        (
            'Basic realm="x", Bearer realm="y"',
            [Challenge("basic", {"realm": "x"}), Challenge("bearer", {"realm": "y"})],
        ),
        ("", []),
        ("=,=", []),
    ],
)
def test_challenges(header: str, expected: list[Challenge]) -> None:
    assert challenges(header) == expected


def test_nothing_is_said_unless_asked() -> None:
    """A registry that lets everybody in gets no password."""
    assert authorizations(talk(Authority(BOB).flow(GET, PULL), Reply(200, {}))) == [""]


def test_basic() -> None:
    authority = Authority(BOB)
    sent = talk(authority.flow(GET, PULL), unauthorized('Basic realm="x"'), Reply(200, {}))
    assert authorizations(sent) == ["", "Basic Ym9iOnNlY3JldA=="]
    assert authorizations(talk(authority.flow(GET, PULL), Reply(200, {}))) == ["Basic Ym9iOnNlY3JldA=="]


def test_basic_is_not_repeated() -> None:
    """A refused password is not sent again and again."""
    authority = Authority(BOB)
    talk(authority.flow(GET), unauthorized("Basic"), unauthorized("Basic"))
    assert len(talk(authority.flow(GET), unauthorized("Basic"))) == 1


def test_basic_without_credentials() -> None:
    conversation = Authority(NOBODY).flow(GET)
    next(conversation)
    with pytest.raises(RegistryError, match="no basic auth credentials"):
        conversation.send(unauthorized("Basic"))


def test_bearer() -> None:
    sent = talk(Authority(BOB).flow(GET, PULL), unauthorized(BEARER), granted(token="t"), Reply(200, {}))
    assert authorizations(sent) == ["", "Basic Ym9iOnNlY3JldA==", "Bearer t"]
    parts = urlsplit(sent[1].url)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "https://auth.test/token"
    assert parse_qsl(parts.query) == [("service", "registry.test"), ("scope", PULL[0]), ("account", "bob")]


def test_bearer_anonymous_and_access_token() -> None:
    sent = talk(Authority(NOBODY).flow(GET, PULL), unauthorized(BEARER), granted(access_token="t"), Reply(200, {}))
    assert authorizations(sent) == ["", "", "Bearer t"]
    assert "account" not in sent[1].url


def test_tokens_are_kept_by_scope_and_until_they_expire() -> None:
    now = [1000.0]
    authority = Authority(BOB, now=lambda: now[0])
    talk(authority.flow(GET, PULL), unauthorized(BEARER), granted(token="t1", expires_in=100), Reply(200, {}))
    assert authorizations(talk(authority.flow(GET, PULL), Reply(200, {}))) == ["Bearer t1"]
    other = [repository_scope("team/other", "pull")]
    assert authorizations(talk(authority.flow(GET, other), granted(token="t2"), Reply(200, {})))[1] == "Bearer t2"
    now[0] += 95
    sent = talk(authority.flow(GET, PULL), granted(token="t3"), Reply(200, {}))
    assert authorizations(sent)[1] == "Bearer t3"


def test_short_lives_are_stretched() -> None:
    """Docker takes every token for a minute at least: some servers forget to say, or say 0."""
    now = [0.0]
    authority = Authority(BOB, now=lambda: now[0])
    talk(authority.flow(GET, PULL), unauthorized(BEARER), granted(token="t1", expires_in=1), Reply(200, {}))
    now[0] = 45
    assert authorizations(talk(authority.flow(GET, PULL), Reply(200, {}))) == ["Bearer t1"]


def test_token_that_the_registry_calls_expired() -> None:
    """In the middle of a pull: one new token, and on."""
    authority = Authority(BOB)
    talk(authority.flow(GET, PULL), unauthorized(BEARER), granted(token="t1"), Reply(200, {}))
    sent = talk(authority.flow(GET, PULL), unauthorized(BEARER), granted(token="t2"), Reply(200, {}))
    assert authorizations(sent) == ["Bearer t1", "Basic Ym9iOnNlY3JldA==", "Bearer t2"]


def test_endless_401_ends() -> None:
    sent = talk(Authority(BOB).flow(GET, PULL), unauthorized(BEARER), granted(token="t"), unauthorized(BEARER))
    assert len(sent) == 3


def test_mount_needs_both_repositories() -> None:
    scopes = [repository_scope("team/app", "pull,push"), repository_scope("team/base", "pull")]
    sent = talk(Authority(BOB).flow(GET, scopes), unauthorized(BEARER), granted(token="t"), Reply(201, {}))
    assert parse_qs(urlsplit(sent[1].url).query)["scope"] == scopes


def test_identity_token_is_a_refresh_token() -> None:
    authority = Authority(Credentials("bob", "", identity_token="long"))
    sent = talk(authority.flow(GET, PULL), unauthorized(BEARER), granted(access_token="t"), Reply(200, {}))
    assert (sent[1].method, sent[1].url) == ("POST", "https://auth.test/token")
    form = dict(parse_qsl(sent[1].form.decode()))
    assert form == {
        "grant_type": "refresh_token",
        "service": "registry.test",
        "client_id": "docker",
        "refresh_token": "long",
        "scope": PULL[0],
    }
    assert authorizations(sent) == ["", "", "Bearer t"]


def test_login_is_given_a_refresh_token() -> None:
    authority = Authority(BOB, offline=True)
    sent = talk(authority.flow(GET), unauthorized(BEARER), granted(token="t", refresh_token="long"), Reply(200, {}))
    assert "offline_token=true" in sent[1].url and authority.identity_token == "long"


def test_registry_token_goes_as_it_is() -> None:
    authority = Authority(Credentials(registry_token="mine"))
    assert authorizations(talk(authority.flow(GET), Reply(200, {}))) == ["Bearer mine"]


def test_no_password_over_plain_http() -> None:
    """A registry that is spoken to over TLS can't make us tell the password in the clear."""
    conversation = Authority(BOB).flow(GET, PULL)
    next(conversation)
    with pytest.raises(RegistryError, match="over plain http"):
        conversation.send(unauthorized(BEARER.replace("https:", "http:")))


@pytest.mark.parametrize("realm", ["", "file:///etc/passwd", "gopher://x", "/token"])
def test_realm_that_is_no_address(realm: str) -> None:
    conversation = Authority(NOBODY).flow(GET, PULL)
    next(conversation)
    with pytest.raises(RegistryError, match="which is no address"):
        conversation.send(unauthorized(f'Bearer realm="{realm}"'))


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (Reply(401, {}), "unauthorized: incorrect username or password"),
        (Reply(403, {}, lambda: b'{"errors":[{"code":"DENIED","message":"not you"}]}'), "denied: not you"),
        (Reply(401, {}, lambda: b'{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}'), "unauthorized: no"),
        (Reply(500, {}), "the token server auth.test answered 500"),
        (granted(), "has no token"),
        (granted(token="a\nHost: b"), "a token that no header can hold"),
        (Reply(200, {}, lambda: b"<html>"), "can't be understood"),
        (Reply(200, {}, lambda: b'{"token": 1}'), "can't be understood"),
    ],
)
def test_token_server_says_no(reply: Reply, text: str) -> None:
    conversation = Authority(BOB).flow(GET, PULL)
    next(conversation)
    conversation.send(unauthorized(BEARER))
    with pytest.raises(RegistryError, match=text):
        conversation.send(reply)


def test_the_last_reply_is_the_registrys() -> None:
    """A token server that gives the same token again: its answer must not pass for the registry's."""
    authority = Authority(BOB)
    talk(authority.flow(GET, PULL), unauthorized(BEARER), granted(token="t"), Reply(200, {}))
    sent = talk(authority.flow(GET, PULL), unauthorized(BEARER), granted(token="t"), unauthorized(BEARER))
    assert [request.url for request in sent][-1] == GET.url
