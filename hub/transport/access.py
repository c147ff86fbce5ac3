"""Topics and rights on the brokers, held against what they should be: what is missing is made, what is otherwise is told."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ConfigResource,
    ConfigResourceType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)
from kafka.errors import SecurityDisabledError

from hub.errors import RetryLaterError
from hub.transport.kafkaclient import KafkaOptions, opened, translated
from hub.transport.plan import PARTITIONS, RETENTION_MS, Plan, Right

_OURS: Final = "signals."
_SEEN_SECONDS: Final = 15
_EVERY_ACL: Final = ACLFilter(
    None, None, ACLOperation.ANY, ACLPermissionType.ANY, ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which the brokers are not as planned."""

    what: str
    mended: bool
    """False: a person has to look, for mending it would take something away."""


def apply(options: KafkaOptions, plan: Plan, replicas: int = -1, *, dry_run: bool = False) -> list[Difference]:
    """Make what is missing, and return every difference that was found; a second time there is none that it could mend.

    A topic, partition or right too many is told and left: who takes it away must know why it is there. Without an
    authorizer the brokers have no rights to hold against the plan: that is told too.
    """
    with _admin(options) as admin:
        found = list(_topics(admin, plan, replicas, dry_run=dry_run))
        try:
            found += _rights(admin, plan, dry_run=dry_run)
        except SecurityDisabledError:
            if options.security:  # else nobody expects the brokers to know who is who
                found.append(Difference("the brokers have no authorizer: anyone who reaches them may do anything", mended=False))
        return found


def _topics(admin: Any, plan: Plan, replicas: int, *, dry_run: bool) -> Iterator[Difference]:
    there = {one["name"]: one for one in admin.describe_topics() if one["name"].startswith(_OURS)}
    missing = [topic for topic in plan.topics if topic not in there]
    if missing and not dry_run:
        wanted = {"num_partitions": PARTITIONS, "replication_factor": replicas, "configs": {"retention.ms": str(RETENTION_MS)}}
        admin.create_topics(dict.fromkeys(missing, wanted), wait_for_metadata=True)
    yield from (Difference(f"topic {topic} was missing", mended=not dry_run) for topic in missing)
    known = [topic for topic in plan.topics if topic in there]
    asked = [ConfigResource(ConfigResourceType.TOPIC, topic, ["retention.ms"]) for topic in known]
    found = admin.describe_configs(asked, config_filter="all")
    for topic in known:
        kept = found["topic"].get(topic, {}).get("retention.ms", {}).get("value")
        if kept != str(RETENTION_MS):
            if not dry_run:
                admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": str(RETENTION_MS)})])
            yield Difference(f"topic {topic} kept records {kept} ms instead of {RETENTION_MS}", mended=not dry_run)
        if len(there[topic]["partitions"]) != PARTITIONS:
            yield Difference(f"topic {topic} has {len(there[topic]['partitions'])} partitions instead of {PARTITIONS}", mended=False)
    yield from (Difference(f"topic {topic} is of no participant", mended=False) for topic in sorted(there.keys() - set(plan.topics)))


def _rights(admin: Any, plan: Plan, *, dry_run: bool) -> Iterator[Difference]:
    there = _there(admin)
    missing = [right for right in plan.rights if right not in there]
    if missing and not dry_run:
        failed = admin.create_acls([_acl(right) for right in missing])["failed"]
        if failed:
            msg = f"{len(failed)} rights could not be made"
            raise RetryLaterError(msg, "look at the log of the brokers, then run the same command again")
        _seen(admin, missing)
    yield from (Difference(f"{_said(right)} was missing", mended=not dry_run) for right in missing)
    yield from (Difference(f"{_said(right)} is not in the plan", mended=False) for right in sorted(_strange(there, plan)))


def _seen(admin: Any, made: Iterable[Right]) -> None:
    """Wait until the brokers keep to rights that were made: they hear of them a moment later."""
    deadline = time.monotonic() + _SEEN_SECONDS
    while not set(made) <= _there(admin):
        if time.monotonic() > deadline:
            raise RetryLaterError("the brokers do not know all rights yet", "run the same command again")


def _there(admin: Any) -> set[Right]:
    return {right for acl in admin.describe_acls(_EVERY_ACL)[0] if (right := _right(acl)) is not None}


def _strange(there: Iterable[Right], plan: Plan) -> list[Right]:
    return [right for right in there if right not in plan.rights and (right.kind == "GROUP" or right.name.startswith(_OURS))]


def _said(right: Right) -> str:
    return f"{right.user} may {right.operation} {right.kind.lower()} {right.name}{'*' if right.prefixed else ''}"


def _acl(right: Right) -> ACL:
    pattern = ACLResourcePatternType.PREFIXED if right.prefixed else ACLResourcePatternType.LITERAL
    resource = ResourcePattern(ResourceType[right.kind], right.name, pattern)
    return ACL(f"User:{right.user}", "*", ACLOperation[right.operation], ACLPermissionType.ALLOW, resource)


def _right(acl: Any) -> Right | None:
    """Return a right of the kinds that the hub plans, whoever has it; others are no matter of it."""
    resource = acl.resource_pattern
    if acl.permission_type != ACLPermissionType.ALLOW or resource.resource_type not in {ResourceType.TOPIC, ResourceType.GROUP}:
        return None
    prefixed = resource.pattern_type == ACLResourcePatternType.PREFIXED
    return Right(acl.principal.removeprefix("User:"), acl.operation.name, resource.resource_type.name, resource.resource_name, prefixed)


@contextmanager
def _admin(options: KafkaOptions) -> Iterator[Any]:
    with translated(), closing(opened(KafkaAdminClient, options)[0]) as admin:
        yield admin
