from services.wall.relay.engine import stun
from services.wall.relay.engine.ice import CONSENT_SECONDS, MAX_CHECKS, MAX_PATHS, Address, IceAgent

THEIR_PASSWORD = "their-password-of-24-ch"
HOME: Address = ("192.0.2.1", 5000)
AWAY: Address = ("2001:db8::1", 6000, 0, 0)


def ask(
    agent: IceAgent, address: Address = HOME, now: float = 0.0, *, nominate: bool = False, theirs: str = "them",
    password: str | None = None, controlled: bool = False,
) -> bytes | None:  # fmt: skip
    secret = (password or agent.password).encode()
    data = stun.binding_request(
        b"0123456789ab", f"{agent.ufrag}:{theirs}", secret, use_candidate=nominate, controlled=controlled
    )
    request = stun.parse_binding_request(data)
    assert request is not None
    return agent.answer(data, request, address, now)


def prove(agent: IceAgent, address: Address, password: str = THEIR_PASSWORD) -> bool:
    """Answers the check that was sent to ``address``."""
    host, port = address[:2]
    data = stun.binding_success(agent.paths[address].transaction, host, port, password.encode())
    success = stun.parse_binding_success(data)
    assert success is not None
    return agent.on_success(data, success, address)


def test_the_first_proven_path_is_used_until_another_is_nominated_and_proven() -> None:
    agent = IceAgent("them", THEIR_PASSWORD, 0.0)
    assert ask(agent)
    assert agent.selected == HOME
    assert prove(agent, HOME)
    ask(agent, AWAY)
    assert prove(agent, AWAY)
    assert agent.selected == HOME
    third: Address = ("192.0.2.3", 7000)
    ask(agent, third, nominate=True)
    assert agent.selected == HOME
    assert prove(agent, third)
    assert agent.selected == third


def test_a_proven_path_is_used_rather_than_a_nominated_one_that_is_not() -> None:
    agent = IceAgent("them", THEIR_PASSWORD, 0.0)
    ask(agent, AWAY, nominate=True)
    assert agent.selected == AWAY
    ask(agent, HOME)
    assert agent.selected == AWAY
    assert prove(agent, HOME)
    assert agent.selected == HOME
    assert not agent.is_proven(AWAY)


def test_only_the_answer_to_the_check_of_that_address_proves_it() -> None:
    agent = IceAgent("them", THEIR_PASSWORD, 0.0)
    ask(agent)
    ask(agent, AWAY)
    assert not prove(agent, HOME, password="x" * 24)
    agent.paths[HOME].transaction, known = b"another one.", agent.paths[HOME].transaction
    assert prove(agent, HOME)  # the transaction is that of the path
    agent.paths[AWAY].transaction = known
    data = stun.binding_success(known, "192.0.2.1", 5000, THEIR_PASSWORD.encode())
    success = stun.parse_binding_success(data)
    assert success is not None
    assert not agent.on_success(data, success, ("192.0.2.77", 1))
    assert not agent.is_proven(AWAY)


def test_an_unproven_address_is_sent_at_most_three_times_what_came_from_it() -> None:
    agent = IceAgent("them", THEIR_PASSWORD, 0.0)
    answer = ask(agent)
    check = agent.check_in_return(HOME)
    assert answer is not None
    assert check is not None
    path = agent.paths[HOME]
    left = path.allowance_bytes
    asked = len(stun.binding_request(b"0123456789ab", f"{agent.ufrag}:them", b"password"))
    assert left == 3 * asked - len(answer) - len(check)
    assert not path.take(left + 1)
    assert path.take(left)
    assert agent.check_in_return(HOME) is None
    path.on_received(100)
    assert path.take(300)
    assert not path.take(1)
    assert prove(agent, HOME)
    assert path.take(10_000_000)


def test_a_wrong_password_or_user_is_not_answered_and_keeps_no_consent() -> None:
    agent = IceAgent("them", THEIR_PASSWORD, 0.0)
    assert ask(agent, now=5.0, password="x" * 24) is None
    assert ask(agent, now=5.0, theirs="somebody") is None
    assert agent.paths == {}
    assert agent.last_check == 0.0


def test_a_peer_that_wants_our_role_is_told_of_the_conflict() -> None:
    agent = IceAgent("them", THEIR_PASSWORD, 0.0)
    answer = ask(agent, controlled=True)
    assert answer is not None
    assert answer[:2] == b"\x01\x11"
    assert agent.selected is None


def test_consent_ends_with_silence() -> None:
    agent = IceAgent("them", THEIR_PASSWORD, 0.0)
    ask(agent, now=10.0)
    assert not agent.consent_expired(10.0 + CONSENT_SECONDS)
    assert agent.consent_expired(10.1 + CONSENT_SECONDS)


def test_paths_are_bounded_and_the_selected_one_stays() -> None:
    agent = IceAgent("them", THEIR_PASSWORD, 0.0)
    ask(agent)
    for port in range(1, 50):
        ask(agent, ("192.0.2.9", port))
    assert len(agent.paths) == MAX_PATHS
    assert HOME in agent.paths


def test_credentials_are_ice_chars_long_enough_and_different() -> None:
    first, second = IceAgent("them", THEIR_PASSWORD, 0.0), IceAgent("them", THEIR_PASSWORD, 0.0)
    assert first.ufrag != second.ufrag
    assert first.ufrag.isalnum()
    assert first.password.isalnum()
    assert len(first.password) >= 22


def test_a_check_is_answered_with_one_of_ours_until_the_peer_nominates() -> None:
    agent = IceAgent("them", THEIR_PASSWORD, 0.0)
    assert ask(agent)
    check = agent.check_in_return(HOME)
    assert check is not None
    request = stun.parse_binding_request(check)
    assert request is not None
    assert request.username == f"them:{agent.ufrag}"
    assert request.controlled
    assert not request.use_candidate
    assert stun.verify(check, request, THEIR_PASSWORD.encode())
    ask(agent, nominate=True)
    prove(agent, HOME)
    assert agent.check_in_return(HOME) is None


def test_a_peer_that_never_nominates_is_not_checked_for_ever() -> None:
    agent = IceAgent("them", THEIR_PASSWORD, 0.0)
    ask(agent)
    prove(agent, HOME)
    assert sum(agent.check_in_return(HOME) is not None for _ in range(100)) == MAX_CHECKS
