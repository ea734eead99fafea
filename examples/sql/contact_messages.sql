-- A contact's messages in a date range, in every chat.
--   sqlite3 -readonly -header -column whatsapp_chats.db < contact_messages.sql
-- Change the three values below. The contact is a part of a name or number; % alone means everybody. Times are UTC.
WITH asked AS (
    SELECT '%'          AS contact,
           '2025-08-01' AS first_day,
           '2025-08-31' AS last_day
)
SELECT messages.timestamp,
       contacts.name  AS sender,
       chats.name     AS chat,
       messages.message_type,
       messages.content
FROM asked
JOIN messages ON messages.timestamp >= asked.first_day
             AND messages.timestamp < date(asked.last_day, '+1 day')
JOIN chats    ON chats.chat_id = messages.chat_id
JOIN contacts ON contacts.contact_id = messages.sender_contact_id
WHERE contacts.name LIKE '%' || asked.contact || '%'
   OR contacts.phone_number LIKE '%' || asked.contact || '%'
ORDER BY messages.timestamp, messages.message_id;
