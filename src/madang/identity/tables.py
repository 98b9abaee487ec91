"""What identity keeps. Times are seconds since the epoch; of secrets only hashes are stored."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Double, ForeignKey, Index, Integer, String, Table, Text

from madang.kernel.database import metadata

people = Table(
    "people",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(32), nullable=False, unique=True),
    Column("display_name", String(80), nullable=False),
    Column("roles", Text, nullable=False),  # a JSON list
    Column("account", String(64)),
    Column("language", String(8)),
    Column("disabled", Boolean(create_constraint=False), nullable=False),
    Column("password", String(255)),  # argon2id; NULL: none is set, only a sign-in link lets in
    Column("password_set_at", Double),  # stays when the password is reset: the person has had one
    Column("created_at", Double, nullable=False),
    Column("last_sign_in_at", Double),
    Column("version", Integer, nullable=False),
)

sign_ins = Table(
    "sign_ins",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("person", String(32), ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("secret_hash", String(64), nullable=False),
    Column("previous_hash", String(64)),  # of the cookie before the last rotation, good until previous_until
    Column("previous_until", Double),
    Column("rotated_at", Double, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("last_seen_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False, index=True),
    Column("address", String(64), nullable=False),
    Column("user_agent", String(200), nullable=False),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("person", String(32), ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String(80), nullable=False),
    Column("secret_hash", String(64), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("last_used_at", Double),
)

sign_in_links = Table(
    "sign_in_links",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("person", String(32), ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("used_at", Double),
)

# The trail outlives whom it names, so it refers to nobody.
audit = Table(
    "audit",
    metadata,
    # Big also because people may ask for what is older than any number; SQLite counts only what it calls INTEGER.
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("person", String(32)),
    Column("person_name", String(80), nullable=False),
    Column("action", String(64), nullable=False),
    Column("object", String(200), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("address", String(64), nullable=False),
    Column("detail", String(500), nullable=False),
    Index(None, "at"),
    sqlite_autoincrement=True,
)
