"""Where messages go, without a connection."""

from xml.etree import ElementTree

from runtime.xmpp import routing
from runtime.xmpp.routing import Router


class Recorder:
    def __init__(self):
        self.sent = []
        self.ended = []

    def send_bytes(self, data):
        self.sent.append(data)

    def end_with_error(self, condition):
        self.ended.append(condition)


def message(to, **attributes):
    element = ElementTree.Element("{jabber:client}message", {"to": to, "type": "chat", **attributes})
    ElementTree.SubElement(element, "{jabber:client}body").text = "text"
    return element


def test_a_full_store_returns_further_messages(monkeypatch):
    monkeypatch.setattr(routing, "STORE_LIMIT", 2)
    router, line = Router("x", {"a", "b"}.__contains__), Recorder()
    sender = router.bind("a", "r", line)
    for _ in range(3):
        router.route(sender, message("b@x"))
    assert [b'type="error"' in data for data in line.sent] == [True]
    receiver = Recorder()
    router.set_available(router.bind("b", "r", receiver), True)
    assert len(receiver.sent) == 2


def test_headlines_and_errors_are_not_stored_and_errors_never_answered():
    router, line = Router("x", {"a", "b"}.__contains__), Recorder()
    sender = router.bind("a", "r", line)
    router.route(sender, message("b@x", type="headline"))
    router.route(sender, message("b@x", type="error"))
    router.route(sender, message("nobody@x", type="error"))
    receiver = Recorder()
    router.set_available(router.bind("b", "r", receiver), True)
    assert (line.sent, receiver.sent) == ([], [])


def test_a_session_that_lost_its_place_does_not_take_it_from_the_next():
    router, older, newer = Router("x", {"a"}.__contains__), Recorder(), Recorder()
    first = router.bind("a", "r", older)
    second = router.bind("a", "another", newer)
    assert older.ended == ["conflict"]
    router.unbind(first)
    assert router.sessions() == [second]
    router.unbind(second)
    router.unbind(second)
    assert router.sessions() == []


def test_messages_go_to_the_one_session_there_is():
    router, older, newer = Router("x", {"a", "b"}.__contains__), Recorder(), Recorder()
    sender = router.bind("b", "r", Recorder())
    for resource, line in (("r", older), ("another", newer)):
        router.set_available(router.bind("a", resource, line), True)
    for to in ("a@x", "a@x/r", "a@x/another", "a@x/never"):
        router.route(sender, message(to))
    assert (len(older.sent), len(newer.sent)) == (0, 4)
