-- archived: what the archive has read of a stream is in its database, so the mark moves on. The archive's consumer group
-- follows, for those who look at its lag.
-- include: clock archive_marks
-- ARGV  events or audit, the mark from which the archive has read, the mark up to which it has (both as read_archive has
--       them)
-- reply done; moved: another archive was faster, or Redis went back to an older mark, so read again; or off
local name, before, after = ARGV[1], ARGV[2], ARGV[3]
local stored = redis.call('HMGET', keys.account_state, 'archive', 'archived_' .. name)
if not stored[1] then return 'off' end
if stored[2] == after then return 'done' end
if (stored[2] or '') ~= before then return 'moved' end
redis.call('HSET', keys.account_state, 'archived_' .. name, after)
local id, number = parse_mark(after)
local set = redis.pcall('XGROUP', 'SETID', keys[name], ARCHIVE_GROUP, id, 'ENTRIESREAD', int(number))
if set.err then redis.call('XGROUP', 'CREATE', keys[name], ARCHIVE_GROUP, id, 'MKSTREAM', 'ENTRIESREAD', int(number)) end
return 'done'
