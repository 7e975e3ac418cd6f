-- set_aside: an entry that cannot be worked on leaves its stream and is kept for a look.
-- include: clock
-- KEYS  stream, dead
-- ARGV  entry, consumer group (empty: none), name of the stream, why, cap of the dead; and where the entry is to be
--       kept in another form, its fields and values
-- reply done or gone
local CONTENT, WHY, KEY_MISSING = 6, 6, 'key_missing'
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
if #found == 0 then return 'gone' end
local content = #ARGV >= CONTENT and { unpack(ARGV, CONTENT) } or found[1][2]
redis.call('XADD', KEYS[2], '*', 'stream', ARGV[3], 'entry', ARGV[1], 'why', ARGV[4], unpack(content))
-- The oldest go beyond the cap, but for what is only missing a key: that is a fax, and none is lost.
for _ = 1, math.min(100, redis.call('XLEN', KEYS[2]) - tonumber(ARGV[5])) do
  local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
  if oldest[2][WHY] == KEY_MISSING then break end
  redis.call('XDEL', KEYS[2], oldest[1])
end
if ARGV[2] ~= '' then redis.call('XACK', KEYS[1], ARGV[2], ARGV[1]) end
redis.call('XDEL', KEYS[1], ARGV[1])
return 'done'
