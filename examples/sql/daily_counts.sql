-- How many messages each contact wrote on each day.
--   sqlite3 -readonly -header -column whatsapp_chats.db < daily_counts.sql
-- Change the two values below. Days are UTC days.
WITH asked AS (
    SELECT '2025-08-01' AS first_day,
           '2025-08-31' AS last_day
)
SELECT date(messages.timestamp)         AS day,
       contacts.name                    AS contact,
       contacts.phone_number,
       count(*)                         AS messages,
       count(DISTINCT messages.chat_id) AS chats,
       sum(chats.chat_type = 'group')   AS in_groups
FROM asked
JOIN messages ON messages.timestamp >= asked.first_day
             AND messages.timestamp < date(asked.last_day, '+1 day')
JOIN chats    ON chats.chat_id = messages.chat_id
JOIN contacts ON contacts.contact_id = messages.sender_contact_id
GROUP BY day, contacts.contact_id
ORDER BY day, messages DESC, contact;
