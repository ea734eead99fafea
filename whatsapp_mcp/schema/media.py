"""What the database knows of files: the fourth migration, and how the queue of downloads is filled."""

from __future__ import annotations

from typing import Final

MEDIA_KINDS: Final = ("image", "video", "audio", "voice", "document", "sticker")
"""Kinds of messages that carry a file, in the order of `records.KINDS`."""

GATEWAY: Final = 3
"""Bits of ``messages.origins``, ASKED and TOLD: the gateway knows the message, so it may still give its file."""

TOO_LARGE_FOR_GATEWAY: Final = "Green API gives no file over 100 MB (SWE002)."

FILL_QUEUE: Final = f"""
INSERT OR IGNORE INTO media_download_queue (message_id, media_url, download_status, last_error)
    SELECT message_id, media_url, CASE WHEN media_url IS NULL AND marker = 'SWE002' THEN 'skipped' ELSE 'pending' END,
        CASE WHEN media_url IS NULL AND marker = 'SWE002' THEN '{TOO_LARGE_FOR_GATEWAY}' END
    FROM messages WHERE message_type IN {MEDIA_KINDS}
        AND (media_url IS NOT NULL OR coalesce(origins, {GATEWAY}) & {GATEWAY}) AND local_media_path IS NULL;
"""
"""Puts every message that has a file, or may have one at the gateway, into the queue, unless it is there."""

FOURTH: Final = f"""
CREATE TABLE media_files (
    sha256 TEXT PRIMARY KEY,
    path TEXT,
    mime_type TEXT,
    size INTEGER,
    width INTEGER,
    height INTEGER,
    duration REAL,
    thumbnail_path TEXT,
    stored_at INTEGER,
    checked_at INTEGER,
    looked_at INTEGER
);
ALTER TABLE messages ADD COLUMN media_sha256 TEXT;
ALTER TABLE media_download_queue ADD COLUMN size INTEGER;
CREATE INDEX messages_by_file ON messages (media_sha256) WHERE media_sha256 IS NOT NULL;
CREATE TABLE media_texts (
    sha256 TEXT PRIMARY KEY,
    source TEXT NOT NULL,
    language TEXT,
    text TEXT NOT NULL,
    made_by TEXT,
    reader INTEGER NOT NULL,
    made_at INTEGER NOT NULL
);
CREATE TABLE profile_pictures (
    whatsapp_id TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    first_seen_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    PRIMARY KEY (whatsapp_id, sha256, first_seen_at)
) WITHOUT ROWID;
CREATE VIEW current_profile_pictures AS
    SELECT p.whatsapp_id, c.contact_id, g.group_id, f.path, f.thumbnail_path, p.first_seen_at, p.last_seen_at
    FROM profile_pictures AS p JOIN media_files AS f USING (sha256)
        LEFT JOIN contacts AS c ON c.whatsapp_id = p.whatsapp_id
        LEFT JOIN groups AS g ON g.whatsapp_group_id = p.whatsapp_id
    WHERE p.last_seen_at = (SELECT max(last_seen_at) FROM profile_pictures AS o WHERE o.whatsapp_id = p.whatsapp_id);
{FILL_QUEUE.strip()}
"""
"""The fourth migration: stored files, one row for each content however often it was sent, and what is to be fetched.

``media_files.path`` is relative to the archive's folder and made of the content's hash; ``width`` and ``height`` are pixels,
``duration`` seconds; ``looked_at`` is when these and the thumbnail were made. ``media_texts`` holds what was read out of a
content (``source``: ``voice`` or ``document``; an empty ``text`` says that there is none; ``reader`` is the number of the way
of reading, so that a better one may try again), and ``profile_pictures`` which picture somebody showed from when to when.
``media_download_queue.size`` is how large the host says that the file is. None of it can be made anew from the payloads, so a
rebuild keeps it.
"""
