"""The tables of the queues: one schema for each site, which only its database roles may use.

A schema of another version of the engine is removed and made again, and the workers fill it from
the ledger.
"""

import hashlib
from typing import TYPE_CHECKING, Any, Final

from drawcli.adapters.work_queue.engine import bare_app, schema_of

if TYPE_CHECKING:
    from psycopg import Cursor

    from drawcli.adapters.work_queue.queue import Transactions

_MARK: Final = "drawcli queue "
_RIGHTS: Final = (
    'GRANT USAGE ON SCHEMA "{schema}" TO "{role}"',
    'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "{schema}" TO "{role}"',
    'GRANT USAGE ON ALL SEQUENCES IN SCHEMA "{schema}" TO "{role}"',
)


def install_queues(owner: "Transactions") -> list[str]:
    """Make the queues of every site, as the owner of the database; return the sites with new ones.

    It can be repeated; for queues that are up to date only the rights of roles are set again.
    """
    script = bare_app().schema_manager.get_schema()
    mark = _MARK + hashlib.sha256(script.encode()).hexdigest()[:16]

    def install(cursor: "Cursor[Any]") -> list[str]:
        cursor.execute(
            b"SELECT site, role FROM drawcli.site LEFT JOIN drawcli.site_role USING (site)"
        )
        roles: dict[str, list[str]] = {}
        for site, role in cursor.fetchall():
            roles.setdefault(site, []).extend([role] if role else [])
        return [site for site in sorted(roles) if _made(cursor, site, roles[site], script, mark)]

    return owner.run(install)


def _made(cursor: "Cursor[Any]", site: str, roles: list[str], script: str, mark: str) -> bool:
    """Make the queues of a site if missing or of another version; return whether they were made."""
    schema = schema_of(site)
    query = "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s"
    cursor.execute(query.encode(), (schema,))
    there = cursor.fetchone()
    is_new = there is None or there[0] != mark
    if is_new:
        cursor.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE'.encode())
        cursor.execute(f'CREATE SCHEMA "{schema}"'.encode())
        cursor.execute(f'SET LOCAL search_path TO "{schema}"'.encode())
        cursor.execute(script.encode())
        cursor.execute(f"COMMENT ON SCHEMA \"{schema}\" IS '{mark}'".encode())
        cursor.execute(b"SET LOCAL search_path TO DEFAULT")
    for role in roles:
        quoted = role.replace('"', '""')
        for right in _RIGHTS:
            cursor.execute(right.format(schema=schema, role=quoted).encode())
    return is_new
