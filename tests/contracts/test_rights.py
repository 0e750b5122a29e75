"""Grants: nothing without one, and no more than they say."""

import pytest
from pydantic import ValidationError

from services.contracts.models import PrivacyMask
from services.contracts.permissions import Actor, Right, Role
from services.contracts.rights import (
    DEFAULT_GRANTS,
    UNMASKED,
    Grant,
    GrantInput,
    PastCamera,
    RightsBook,
    is_masked,
)

SIMPANG = PastCamera("kota-1", "kota", ("simpang",))
MALL = PastCamera("mall-1", "mall", ("lobi",))
POLICE = Actor("polisi", Role.AGENCY)
ANI = Actor("ani", Role.VIEWER)


def grant(**fields: object) -> Grant:
    """A grant of live pictures."""
    return Grant.model_validate({"id": "grant-1", "rights": [Right.LIVE], "purpose": "patroli"} | fields)


def test_without_a_grant_nothing_is_allowed_and_an_administrator_needs_none() -> None:
    book = RightsBook()
    assert not any(book.may(POLICE, right, SIMPANG, 0) for right in Right)
    assert not book.may_see(POLICE, SIMPANG, 0)
    for key in DEFAULT_GRANTS:
        book.set_grant(key, DEFAULT_GRANTS[key].model_copy(update={"rights": frozenset()}))
    for role in Role:
        actor = Actor("x", role)
        assert book.rights_of(actor, 0) == (frozenset(Right) if role is Role.ADMIN else frozenset()), role
        assert book.may_see(actor, SIMPANG, 0) is (role is Role.ADMIN)


@pytest.mark.parametrize(
    ("fields", "simpang", "mall"),
    [
        ({}, True, True),
        ({"site": "kota"}, True, False),
        ({"tag": "simpang"}, True, False),
        ({"camera": "mall-1"}, False, True),
        ({"camera": "mall-1", "site": "kota"}, False, False),
        ({"site": "kota", "tag": "lobi"}, False, False),
    ],
)
def test_a_grant_covers_the_cameras_that_match_all_it_names(fields: dict[str, str], simpang: bool, mall: bool) -> None:
    book = RightsBook([grant(account="polisi", **fields)])
    assert book.may(POLICE, Right.LIVE, SIMPANG, 0) is simpang
    assert book.may(POLICE, Right.LIVE, MALL, 0) is mall
    assert not book.may(POLICE, Right.PLAYBACK, SIMPANG, 0)
    assert not book.may(Actor("lain", Role.AGENCY), Right.LIVE, SIMPANG, 0)


def test_a_grant_holds_from_until_and_the_book_says_when_that_changes() -> None:
    book = RightsBook([grant(role=Role.AGENCY, from_us=10, until_us=20)])
    assert [book.may(POLICE, Right.LIVE, SIMPANG, now) for now in (9, 10, 19, 20)] == [False, True, True, False]
    assert [book.next_change_us(now) for now in (0, 10, 20)] == [10, 20, None]
    book.set_grant("grant-1", None)
    assert not book.may(POLICE, Right.LIVE, SIMPANG, 15)


def test_a_roles_own_grant_is_taken_away_and_given_back() -> None:
    book = RightsBook()
    assert book.may(ANI, Right.LIVE, MALL, 0)
    assert not book.may(ANI, Right.CLIP, MALL, 0)
    book.set_grant("default-viewer", DEFAULT_GRANTS["default-viewer"].model_copy(update={"rights": frozenset()}))
    book.set_grant("grant-1", grant(role=Role.VIEWER, site="kota"))
    assert book.may(ANI, Right.LIVE, SIMPANG, 0)
    assert not book.may_see(ANI, MALL, 0)
    book.set_grant("default-viewer", None)
    assert book.may(ANI, Right.LIVE, MALL, 0)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"role": "viewer", "account": "ani"},
        {"role": "viewer", "from_us": 5, "until_us": 5},
        {"role": "viewer", "rights": []},
        {"role": "viewer", "purpose": " "},
    ],
)
def test_a_grant_that_says_not_to_whom_or_why_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        GrantInput.model_validate({"rights": ["live"], "purpose": "patroli"} | fields)


MASKED = PastCamera("kota-2", "kota", (), (PrivacyMask(x=0.25, y=0.25, width=0.5, height=0.5),), (Role.SUPERVISOR,))


@pytest.mark.parametrize(
    ("actor", "masked"),
    [
        (Actor("a", Role.ADMIN), False),
        (Actor("s", Role.SUPERVISOR), False),
        (Actor("o", Role.OPERATOR), True),
        (Actor("v", Role.VIEWER), True),
        (Actor("p", Role.AGENCY), True),
        (Actor("program of an admin", Role.ADMIN, scope=frozenset(Right)), True),
    ],
)
def test_who_may_not_see_through_a_cameras_masks_has_no_right_to_pictures_without_them(
    actor: Actor, masked: bool
) -> None:
    book = RightsBook([grant(role=actor.role, rights=list(Right))])
    assert is_masked(MASKED, actor) is masked
    for right in Right:
        assert book.may(actor, right, MASKED, 0) is not (masked and right in UNMASKED), right
        assert book.may(actor, right, SIMPANG, 0), right
    assert book.may_see(actor, MASKED, 0)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AGENCY])
def test_a_token_for_some_rights_sees_through_no_masks_where_partners_do(role: Role) -> None:
    shown = MASKED._replace(unmasked_roles=(Role.AGENCY,))
    assert is_masked(shown, Actor("a", role)) is (role is Role.VIEWER)
    assert is_masked(shown, Actor("program", role, scope=frozenset(Right)))
