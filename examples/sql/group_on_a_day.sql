-- Who was in a group on a day, with what role, and what each was called then.
--   sqlite3 -readonly -header -column whatsapp_chats.db < group_on_a_day.sql
-- Change the two values below. The group is a part of a name that it has or ever had. Times are UTC. The answer is that of the
-- last list of members that was fetched by the end of that day, at listed_at; there is none if the first list is later.
WITH asked AS (
    SELECT '%'          AS group_name,
           '2025-08-14' AS day
),
moment AS (
    SELECT group_names.group_id,
           max(group_snapshots.seen_at)                              AS listed_at,
           CAST(strftime('%s', asked.day, '+1 day') AS INTEGER) - 1 AS day_end
    FROM asked
    JOIN group_names     ON group_names.name LIKE '%' || asked.group_name || '%'
    JOIN group_snapshots ON group_snapshots.group_id = group_names.group_id
                        AND group_snapshots.seen_at < CAST(strftime('%s', asked.day, '+1 day') AS INTEGER)
    GROUP BY group_names.group_id
),
listed AS (
    SELECT moment.*,
           group_member_history.contact_id,
           group_member_history.role
    FROM moment
    JOIN group_member_history ON group_member_history.group_id = moment.group_id
                             AND moment.listed_at BETWEEN group_member_history.from_at AND group_member_history.until_at
),
called AS (
    SELECT listed.group_id,
           listed.contact_id,
           contact_names.name,
           row_number() OVER (
               PARTITION BY listed.group_id, listed.contact_id
               ORDER BY contact_names.source = 'phonebook' DESC,
                        min(contact_names.last_seen_at, listed.day_end) DESC,
                        contact_names.first_seen_at DESC
           ) AS place
    FROM listed
    JOIN contact_names ON contact_names.contact_id = listed.contact_id
                      AND contact_names.first_seen_at <= listed.day_end
)
SELECT groups.group_name,
       coalesce(called.name, contacts.name)    AS member,
       contacts.phone_number,
       listed.role,
       datetime(listed.listed_at, 'unixepoch') AS listed_at
FROM listed
JOIN groups      ON groups.group_id = listed.group_id
JOIN contacts    ON contacts.contact_id = listed.contact_id
LEFT JOIN called ON called.group_id = listed.group_id
                AND called.contact_id = listed.contact_id
                AND called.place = 1
ORDER BY groups.group_name, groups.group_id, listed.role = 'member', member;
