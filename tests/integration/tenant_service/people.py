"""People for tests: users and members as the tenants' own plane will make them."""

from collections.abc import Sequence

from sqlalchemy import insert

from service_kit.ids import IdFactory
from tenant_service.people.models import Member, MemberRole, User
from tenant_service.people.repository import MemberRepository, UserRepository
from tenant_service.tables import schema
from tests.integration.tenant_service.tenant_process import TenantProcess, new_tenant


async def add_tenant(process: TenantProcess, slug: str = "acme") -> str:
    """A tenant made by an operator; its id."""
    created = await (await process.create(new_tenant(slug))).json()
    return str(created["orgId"])


async def add_user(
    process: TenantProcess,
    email: str,
    *organizations: str,
    name: str = "Bob",
    role: MemberRole = MemberRole.MEMBER,
) -> str:
    """A user who is a member of the given tenants; their id."""
    [user_id] = await _add(process, [(email, name)], organizations, role)
    return user_id


async def add_users(process: TenantProcess, count: int, *organizations: str) -> Sequence[str]:
    """Many users, `user000@many.example` and so on, in one transaction."""
    people = [(f"user{number:03}@many.example", "Many") for number in range(count)]
    return await _add(process, people, organizations, MemberRole.MEMBER)


async def spend(process: TenantProcess, count: int) -> None:
    """Let `adm_support` have made so many searches just now."""
    hits = [
        {"partition": "adm_support:support_query", "seq": seq, "at": process.clock.now()}
        for seq in range(1, count + 1)
    ]
    async with process.database.write() as session:
        await session.execute(insert(schema().rate_limit_hits), hits)


async def _add(
    process: TenantProcess,
    people: Sequence[tuple[str, str]],
    organizations: Sequence[str],
    role: MemberRole,
) -> Sequence[str]:
    ids, now, tables = IdFactory(process.clock), process.clock.now(), schema().people
    users, members = UserRepository(tables), MemberRepository(tables)
    made = [
        User(ids.new("usr"), email, name, email_verified=True, created_at=now, updated_at=now)
        for email, name in people
    ]
    async with process.database.write() as session:
        for user in made:
            await users.add(session, user)
            for organization_id in organizations:
                member = Member(
                    ids.new("mem"), organization_id, user.id, role, created_at=now, updated_at=now
                )
                await members.add(session, member)
    return [user.id for user in made]
