"""What an answer may say to an offer (RFC 3264, 8829, 8843), by a parser that is not the relay's."""

import re
from typing import Final

STATIC: Final = {"0 pcmu/8000", "8 pcma/8000"}
"""Payload types that need no a=rtpmap (RFC 3551, 6)."""


def _attributes(lines: list[str], name: str) -> list[str]:
    return [line[len(name) + 3 :] for line in lines if line.startswith(f"a={name}:")]


def wrong_in(offer: str, answer: str) -> list[str]:
    """What the answer says that the offer does not allow; empty where it says nothing of the kind."""
    wrong: list[str] = []
    (offered_head, *offered), (head, *sections) = (
        [block.split("\n") for block in re.split(r"\n(?=m=)", text.replace("\r\n", "\n"))] for text in (offer, answer)
    )
    if len(offered) != len(sections):
        return [f"{len(sections)} sections for {len(offered)}"]
    accepted = []
    for theirs, ours in zip(offered, sections, strict=True):
        kind, port, protocol, *numbers = ours[0][2:].split()
        line = theirs[0][2:].split()
        if (kind, protocol) != (line[0], line[2]):
            wrong.append(f"{ours[0]} for {theirs[0]}")
        mids = [mid.rstrip() for mid in _attributes(theirs, "mid")[:1]]
        if _attributes(ours, "mid") != [mid for mid in mids if mid]:
            wrong.append(f"mid {_attributes(ours, 'mid')} for {mids}")
        if port == "0":
            continue
        accepted += mids
        if not set(numbers) <= set(line[3:]) or not numbers:
            wrong.append(f"payload types {numbers} of {line[3:]}")
        for what in ("rtpmap", "fmtp", "rtcp-fb"):
            given = {" ".join(value.lower().split()) for value in _attributes(theirs, what)} | STATIC
            for value in _attributes(ours, what):
                number, _, rest = value.partition(" ")
                if number not in numbers or not {value.lower(), f"* {rest.lower()}"} & given:
                    wrong.append(f"a={what}:{value}")
        for value in _attributes(ours, "fmtp"):
            for repeated in re.findall(r"apt=(\d+)", value):
                if repeated not in numbers:
                    wrong.append(f"a repair of {repeated}, which is not sent")
        ids = [(v.split()[0].partition("/")[0], v.split()[1]) for v in _attributes(ours, "extmap")]
        theirs_too = [*_attributes(offered_head, "extmap"), *_attributes(theirs, "extmap")]
        known = {(v.split()[0].partition("/")[0], v.split()[1]) for v in theirs_too if len(v.split()) > 1}
        if not set(ids) <= known or len({number for number, _ in ids}) != len(ids):
            wrong.append(f"extensions {ids}")
        if not _attributes(ours, "candidate") or "a=rtcp-mux" not in ours:
            wrong.append("an accepted section without candidates or rtcp-mux")
    groups = [value.split()[1:] for value in _attributes(head, "group") if value.startswith("BUNDLE")]
    allowed = [value.split()[1:] for value in _attributes(offered_head, "group") if value.startswith("BUNDLE")]
    bundled = [mid for group in groups for mid in group]
    if bundled:
        if sorted(bundled) != sorted(accepted) or not any(set(bundled) <= set(group) for group in allowed):
            wrong.append(f"bundle {bundled} of {allowed}, where {accepted} were accepted")
    elif sum(section[0].split()[1] != "0" for section in sections) != 1:
        wrong.append("several sections are accepted without a group")
    return wrong
