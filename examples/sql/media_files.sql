-- All media with their paths; local_media_path is relative to the archive's folder and empty while a file is not stored.
--   sqlite3 -readonly -header -column whatsapp_chats.db < media_files.sql
-- Change the two values below. Times are UTC.
WITH asked AS (
    SELECT '2009-01-01' AS first_day,
           '2099-12-31' AS last_day
)
SELECT messages.timestamp,
       chats.name    AS chat,
       contacts.name AS sender,
       messages.message_type,
       messages.media_filename,
       messages.media_mime_type,
       messages.media_size,
       messages.local_media_path
FROM asked
JOIN messages      ON messages.timestamp >= asked.first_day
                  AND messages.timestamp < date(asked.last_day, '+1 day')
JOIN chats         ON chats.chat_id = messages.chat_id
LEFT JOIN contacts ON contacts.contact_id = messages.sender_contact_id
WHERE messages.message_type IN ('image', 'video', 'audio', 'voice', 'document', 'sticker')
ORDER BY messages.timestamp, messages.message_id;
