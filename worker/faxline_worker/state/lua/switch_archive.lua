-- switch_archive: an archive begins with an account, from the oldest entries that are left, or gives it up. Until it does,
-- events and audit are kept for it up to their ceilings.
-- include: clock archive_marks
-- ARGV  on or off
-- reply done, or idle: it was so already
local stored = redis.call('HMGET', keys.account_state, 'layout', 'archive')
refuse_newer(stored[1])
if ARGV[1] == 'off' then
  for _, name in ipairs(ARCHIVED_STREAMS) do
    redis.pcall('XGROUP', 'DESTROY', keys[name], ARCHIVE_GROUP) -- without the stream there is none
    redis.call('HDEL', keys.account_state, 'archived_' .. name)
  end
  redis.call('DEL', keys.archive)
  return redis.call('HDEL', keys.account_state, 'archive') == 1 and 'done' or 'idle'
end
for _, name in ipairs(ARCHIVED_STREAMS) do
  local made = redis.pcall('XGROUP', 'CREATE', keys[name], ARCHIVE_GROUP, '0', 'MKSTREAM')
  if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
  if not stored[2] then
    redis.call('HSET', keys.account_state, 'archived_' .. name, first_mark(stream_info(keys[name])))
  end
end
if stored[2] then
  redis.call('SET', keys.archive, stored[2])
  return 'idle'
end
redis.call('HSET', keys.account_state, 'archive', int(now))
redis.call('SET', keys.archive, int(now))
return 'done'
